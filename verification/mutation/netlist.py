# SPDX-License-Identifier: Apache-2.0
"""And-inverter graphs in AIGER files: some inputs given a value, or two of them compared."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

__all__ = ["Netlist"]


@dataclass(frozen=True, kw_only=True)
class Netlist:
    """A netlist as `AIGER <https://fmv.jku.at/aiger/>`_ has it, all registers zero at first.

    A literal is twice the number of a variable, plus 1 if it is inverted; 0 and 1 are constants.
    Variables are first the inputs, then the registers, then the gates, in order.

    Members
    -------
    inputs : :class:`int`
        How many.
    registers : :class:`tuple` of :class:`int`
        The literal that each will have next.
    gates : :class:`tuple` of pairs of :class:`int`
        The literals of which each is the conjunction.
    outputs, bad, constraints : :class:`tuple` of :class:`int`
        Literals; ``bad`` are violated assertions, ``constraints`` assumptions.
    names : :class:`dict`
        Number of the input that is a bit of the port of a name.
    """

    inputs: int
    registers: tuple[int, ...]
    gates: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]
    bad: tuple[int, ...]
    constraints: tuple[int, ...]
    names: dict[str, dict[int, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Netlist":
        """Read a binary file, and the map of Yosys that has its name and the suffix ``aim``.

        Raises
        ------
        :exc:`ValueError`
            If it is none, or if a register is not zero at first.
        """
        text = path.read_bytes()
        header, _, rest = text.partition(b"\n")
        kind, *fields = header.split()
        if kind != b"aig":
            raise ValueError(f"a netlist must be in binary AIGER, and {path} is not")
        _, inputs, latches, outputs, ands, *more = (int(entry) for entry in fields)
        bad, constraints = (*more, 0, 0)[:2]
        lines = []
        for _ in range(latches + outputs + bad + constraints):
            line, _, rest = rest.partition(b"\n")
            lines.append([int(entry) for entry in line.split()])
        if any(line[1:] not in ([], [0]) for line in lines[:latches]):
            raise ValueError(f"every register must be zero at first, and one of {path} is not")
        literals = iter(line[0] for line in lines)

        def take(count: int) -> tuple[int, ...]:
            return tuple(next(literals) for _ in range(count))

        first = 1 + inputs + latches
        return cls(
            inputs=inputs,
            registers=take(latches),
            outputs=take(outputs),
            bad=take(bad),
            constraints=take(constraints),
            gates=tuple(_gates(rest, first, ands)),
            names=_names(path.with_suffix(".aim")),
        )

    def write(self, path: Path) -> None:
        """Write a binary file."""
        counts = (self.outputs, self.gates, self.bad, self.constraints)
        variables = self.inputs + len(self.registers) + len(self.gates)
        sizes = (variables, self.inputs, len(self.registers), *map(len, counts))
        out = bytearray(f"aig {' '.join(map(str, sizes))}\n".encode())
        for literal in (*self.registers, *self.outputs, *self.bad, *self.constraints):
            out += b"%d\n" % literal
        own = 2 * (variables - len(self.gates))
        for one, other in self.gates:
            own += 2
            high, low = max(one, other), min(one, other)
            for delta in (own - high, high - low):
                while delta > 127:
                    out.append(delta & 127 | 128)
                    delta >>= 7
                out.append(delta)
        path.write_bytes(out)

    def given(self, **values: int) -> "Netlist":
        """Return this netlist where inputs of these names have these constant values."""
        build = _Builder(self.inputs, len(self.registers))
        literal = build.add(self, 0, _bits(self, values))
        return replace(
            self,
            registers=tuple(map(literal, self.registers)),
            outputs=tuple(map(literal, self.outputs)),
            bad=tuple(map(literal, self.bad)),
            constraints=tuple(map(literal, self.constraints)),
            gates=tuple(build.gates),
        )

    def compared(self, one: dict[str, int], other: dict[str, int]) -> "Netlist":
        """Return two copies with the same inputs, but for these: it is bad if an output differs."""
        build = _Builder(self.inputs, 2 * len(self.registers))
        literals = [
            build.add(self, copy * len(self.registers), _bits(self, values))
            for copy, values in enumerate((one, other))
        ]
        same = 1
        for output in self.outputs:
            a, b = (literal(output) for literal in literals)
            same = build.gate(same, build.gate(build.gate(a, b ^ 1) ^ 1, build.gate(a ^ 1, b) ^ 1))
        return replace(
            self,
            registers=tuple(
                literal(following) for literal in literals for following in self.registers
            ),
            outputs=(),
            bad=(same ^ 1,),
            constraints=(),
            gates=tuple(build.gates),
        )

    def differing(self, one: dict[str, int], other: dict[str, int]) -> "Netlist":
        """Return where two copies in the same state, of the same inputs but for these, differ.

        Registers become inputs. It is bad if a register's next value, an output or a constraint
        differs, although no constraint and no assertion of the first copy is violated.
        """
        build = _Builder(self.inputs, len(self.registers))
        first, second = (build.add(self, 0, _bits(self, values)) for values in (one, other))
        same, kept = 1, 1
        for ours in (*self.registers, *self.outputs, *self.constraints):
            a, b = first(ours), second(ours)
            same = build.gate(same, build.gate(build.gate(a, b ^ 1) ^ 1, build.gate(a ^ 1, b) ^ 1))
        for ours in self.constraints:
            kept = build.gate(kept, first(ours))
        for ours in self.bad:
            kept = build.gate(kept, first(ours) ^ 1)
        return replace(
            self,
            inputs=self.inputs + len(self.registers),
            registers=(),
            outputs=(),
            bad=(build.gate(kept, same ^ 1),),
            constraints=(),
            gates=tuple(build.gates),
        )


class _Builder:
    """Makes gates, none that is constant and none twice."""

    def __init__(self, inputs: int, registers: int) -> None:
        self.gates: list[tuple[int, int]] = []
        self._inputs = inputs
        self._next = 2 * (1 + inputs + registers)
        self._made: dict[tuple[int, int], int] = {}

    def gate(self, one: int, other: int) -> int:
        if one > other:
            one, other = other, one
        if one == 0 or one ^ other == 1:
            return 0
        if one == 1 or one == other:
            return other
        if (known := self._made.get((one, other))) is None:
            known = self._made[one, other] = self._next
            self.gates.append((one, other))
            self._next += 2
        return known

    def add(self, netlist: Netlist, register: int, values: dict[int, int]) -> Callable[[int], int]:
        """Add a copy whose first register is this one; return what its literals are here."""
        literals = [values.get(n, 2 + 2 * n) for n in range(-1, netlist.inputs)]
        literals[0] = 0
        literals += [2 * (1 + netlist.inputs + register + n) for n in range(len(netlist.registers))]
        for one, other in netlist.gates:
            literals.append(
                self.gate(literals[one >> 1] ^ (one & 1), literals[other >> 1] ^ (other & 1))
            )
        return lambda literal: literals[literal >> 1] ^ (literal & 1)


def _bits(netlist: Netlist, values: dict[str, int]) -> dict[int, int]:
    return {
        number: value >> bit & 1
        for name, value in values.items()
        for bit, number in netlist.names.get(name, {}).items()
    }


def _gates(code: bytes, first: int, count: int) -> Iterator[tuple[int, int]]:
    stream = iter(code)

    def number() -> int:
        value = shift = 0
        while (byte := next(stream)) > 127:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift

    for n in range(first, first + count):
        one = 2 * n - number()
        yield one, one - number()


def _names(path: Path) -> dict[str, dict[int, int]]:
    found: dict[str, dict[int, int]] = {}
    for number, bit, name in re.findall(r"^input (\d+) (\d+) (\S+)$", path.read_text(), re.M):
        found.setdefault(name, {})[int(bit)] = int(number)
    return found
