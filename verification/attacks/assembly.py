# SPDX-License-Identifier: Apache-2.0
"""A very small assembler: straight code, labels, tables. For guests of a few dozen lines."""

from collections.abc import Callable

from blindvisor.verification import rv32

__all__ = ["Assembler", "bne", "sub", "xor"]


def _register_operation(function: int, bits: int, rd: int, rs1: int, rs2: int) -> int:
    return bits << 25 | rs2 << 20 | rs1 << 15 | function << 12 | rd << 7 | 0x33


def sub(rd: int, rs1: int, rs2: int) -> int:
    """``rd = rs1 - rs2``."""
    return _register_operation(0, 0x20, rd, rs1, rs2)


def xor(rd: int, rs1: int, rs2: int) -> int:
    """``rd = rs1 ^ rs2``."""
    return _register_operation(4, 0, rd, rs1, rs2)


def bne(rs1: int, rs2: int, offset: int) -> int:
    """Go on at this instruction + ``offset`` bytes if the registers differ."""
    return rv32.beq(rs1, rs2, offset) | 1 << 12


def srli(rd: int, rs1: int, amount: int) -> int:
    """``rd = rs1 >> amount``, with zeros coming in."""
    return amount << 20 | rs1 << 15 | 5 << 12 | rd << 7 | 0x13


class Assembler:
    """Collects a program for the own cluster's memory, from offset 0 on.

    ``jump``, ``beq``, ``bne`` and ``la`` take names of labels, which may come later.
    """

    def __init__(self) -> None:
        self._words: list[int | Callable[[int], int]] = []
        self._labels: dict[str, int] = {}
        self._calls = 0

    def emit(self, *words: int | list[int]) -> None:
        """Append instructions or data."""
        for word in words:
            self._words.extend(word if isinstance(word, list) else [word])

    def label(self, name: str) -> None:
        """Name the place of what comes next."""
        if name in self._labels:
            raise ValueError(f"label must be new, not {name!r} again")
        self._labels[name] = 4 * len(self._words)

    def jump(self, target: str) -> None:
        """Go on at a label."""
        self._words.append(lambda here: rv32.jump(self._labels[target] - here))

    def beq(self, rs1: int, rs2: int, target: str) -> None:
        """Go on at a label if two registers are equal."""
        self._words.append(lambda here: rv32.beq(rs1, rs2, self._labels[target] - here))

    def bne(self, rs1: int, rs2: int, target: str) -> None:
        """Go on at a label if two registers differ."""
        self._words.append(lambda here: bne(rs1, rs2, self._labels[target] - here))

    def la(self, rd: int, target: str) -> None:
        """``rd`` = address of a label in the own cluster."""

        def part(which: int) -> Callable[[int], int]:
            return lambda here: rv32.li(rd, 0xFF00_0000 + self._labels[target])[which]

        self._words.extend((part(0), part(1)))

    def send_byte(self, rs: int, page: int, scratch: int) -> None:
        """Write ``rs`` to the TTY whose page is in register ``page``, once it has room."""
        self._calls += 1
        again, ready = f"_full{self._calls}", f"_room{self._calls}"
        self.label(again)
        self.emit(rv32.lw(scratch, page, 0), srli(scratch, scratch, 1))
        self.emit(scratch << 15 | 7 << 12 | scratch << 7 | 1 << 20 | 0x13)  # andi scratch, 1
        self.bne(scratch, 0, ready)
        self.jump(again)
        self.label(ready)
        self.emit(rv32.sw(rs, page, 4))

    def send_word(self, rs: int, page: int, scratch: int) -> None:
        """Send four bytes, the lowest first; ``rs`` is shifted away."""
        for _ in range(4):
            self.send_byte(rs, page, scratch)
            self.emit(srli(rs, rs, 8))

    @property
    def size(self) -> int:
        """Bytes so far."""
        return 4 * len(self._words)

    def finish(self) -> bytes:
        """Return the program."""
        done = [
            word(4 * place) if callable(word) else word for place, word in enumerate(self._words)
        ]
        return b"".join(word.to_bytes(4, "little") for word in done)
