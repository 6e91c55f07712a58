# SPDX-License-Identifier: Apache-2.0
"""Random guests: programs that try every kind of address and still come to their end.

A program is a list of blocks, of which any part is a program too, so that it can be shrunk. It
runs them all several times, aiming elsewhere each time, and mixes what it loads and every trap
into one word, which is in its memory in the end.

What is generated has one right answer at every speed of the machine. So no block depends on the
time, on the order of two clusters, or on an interrupt; those are holes of this fuzzer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Self

from blindvisor.hdl.abi import (
    OWN_CLUSTER,
    REGISTER_OFFSET,
    WINDOW_OFFSET,
    ChannelRegister,
    CoreRegister,
    GuestRegister,
)
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.cheader import CORE_REGISTERS, PAGE
from blindvisor.verification.attacks.assembly import bne
from blindvisor.verification.fuzz.instructions import computation, i_type, s_type, u_type
from blindvisor.verification.rv32 import addi, beq, csrr, csrw, jump, li, mret

__all__ = ["MEMORY_BYTES", "Block", "Guest", "blocks"]

MEMORY_BYTES = 8192
"""What a cluster must have at least."""

INBOX, DATA, RESULT = 0x1000, 0x1400, 0x1C00
"""Offsets: room for each cluster of the VM to write to, data, registers in the end. Code is
below."""

_INBOX_BYTES = 0x100
LONGEST = 64
"""Blocks of a cluster."""

_OWN = OWN_CLUSTER << 24
_OFFSET = 0x3FC  # bits of an address that change from pass to pass, where a target allows that
_MIXED, _PASS, _PASSES, _SHIFT, _AT, _BASE, _BACK = range(20, 27)  # registers
_CAUSE, _VALUE, _WHERE, _TURN = 28, 29, 30, 19  # the trap handler's

LAST = 0x80
"""Plus its number in the VM: what a cluster prints when it has come to its end."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A piece of a program.

    Members
    -------
    words : tuple of :class:`int`
        Instructions, to run from the first to behind the last.
    access, target : :class:`str`
        What they do, by the names of :mod:`~blindvisor.verification.fuzz.coverage`.
    """

    words: tuple[int, ...]
    access: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A VM of random programs.

    Members
    -------
    vm, x, y, width, height : :class:`int`
        Slot and place.
    tty, mailbox : :class:`int`
        Guest channel numbers of its two channels; ``mailbox`` -1: it has none.
    seed : :class:`int`
        Of what its registers and data start with.
    passes : :class:`int`
        How often its programs run.
    programs : tuple of tuple of :class:`Block`
        By cluster, row by row.
    """

    vm: int
    x: int
    y: int
    width: int
    height: int
    tty: int
    mailbox: int
    seed: int
    passes: int
    programs: tuple[tuple[Block, ...], ...]

    @property
    def clusters(self) -> int:
        """How many it has."""
        return self.width * self.height

    def memory(self, index: int) -> bytes:
        """Return what the memory of a cluster starts with."""
        rng = Random(f"{self.seed}/{index}")
        code = _program(self, index, rng)
        if 4 * len(code) > INBOX:
            raise ValueError(f"a program must take {INBOX} bytes at most, not {4 * len(code)}")
        data = rng.randbytes(RESULT - DATA)
        return _bytes(code).ljust(DATA, b"\0") + data

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        programs = [
            [
                {"words": [f"{word:08x}" for word in block.words], "access": block.access}
                | {"target": block.target}
                for block in program
            ]
            for program in self.programs
        ]
        return {**vars(self), "programs": programs}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Undo :meth:`as_dict`."""
        programs = tuple(
            tuple(
                Block(
                    words=tuple(int(word, 16) for word in block["words"]),
                    access=block["access"],
                    target=block["target"],
                )
                for block in program
            )
            for program in values["programs"]
        )
        fields: dict[str, Any] = {**values, "programs": programs}
        return cls(**fields)


def _bytes(words: Sequence[int]) -> bytes:
    return b"".join(word.to_bytes(4, "little") for word in words)


# The frame around the blocks


def _mix(register: int) -> list[int]:
    """Mix a register into the word that shows all that was seen: rotate and exclusive-or."""
    return [
        i_type(0x13, 5, _TURN, _MIXED, 27),  # srli
        i_type(0x13, 1, _MIXED, _MIXED, 5),  # slli
        _MIXED << 20 | i_type(0x33, 6, _MIXED, _TURN, 0),  # or
        register << 20 | i_type(0x33, 4, _MIXED, _MIXED, 0),  # xor
    ]


def _handler() -> list[int]:
    """Mix cause, value and place in; go on behind the instruction, or, after a fetch, at _BACK."""
    code = [csrr(_CAUSE, 0x342), csrr(_VALUE, 0x343), csrr(_WHERE, 0x341)]
    code += [*_mix(_CAUSE), *_mix(_VALUE), *_mix(_WHERE)]
    code += [
        addi(_VALUE, 0, 1),
        bne(_CAUSE, _VALUE, 8),
        addi(_WHERE, _BACK, -4),
        addi(_WHERE, _WHERE, 4),
        csrw(0x341, _WHERE),
        mret(),
    ]
    return code


def _program(guest: Guest, index: int, rng: Random) -> list[int]:
    handler = _handler()
    code = [jump(4 * (1 + len(handler))), *handler]
    code += [*li(_AT, _OWN + 4), csrw(0x305, _AT)]  # mtvec
    for register in range(1, 16):
        value = rng.choice((rng.getrandbits(32), rng.getrandbits(4), _OWN + DATA))
        code += li(register, value)
    code += [addi(_PASS, 0, 0), addi(_MIXED, 0, 1), *li(_PASSES, guest.passes)]
    code += [addi(_SHIFT, 0, 0)]
    loop = len(code)
    for block in guest.programs[index]:
        code += block.words
    code += [addi(_PASS, _PASS, 1), addi(_SHIFT, _SHIFT, 0x5C)]
    code += [i_type(0x13, 7, _SHIFT, _SHIFT, _OFFSET), beq(_PASS, _PASSES, 8)]
    code += [jump(4 * (loop - len(code)))]
    code += li(_AT, _OWN + RESULT)
    code += [s_type(2, _AT, register, 4 * register) for register in (*range(1, 16), _MIXED)]
    code += [*li(_AT, _page(guest.tty)), *li(_BASE, LAST + index)]
    code += [s_type(2, _AT, _BASE, ChannelRegister.DATA.value), jump(0)]
    return code


# The blocks


@dataclass(frozen=True, kw_only=True)
class _Aim:
    """Where an access goes.

    ``shift``: bits of the address that may change; ``sizes``: 1, 2 or 4; ``kept``: whether what a
    load gives may be looked at; ``byte``: a store must be of 7 bits, or be the end of the guest.
    """

    address: int
    shift: int = 0
    sizes: tuple[int, ...] = (4,)
    kept: bool = True
    byte: bool = False


@dataclass(frozen=True, kw_only=True)
class _Where:
    """What a cluster knows of itself."""

    config: MachineConfig
    guest: Guest
    index: int

    @property
    def alone(self) -> bool:
        return self.guest.clusters == 1

    @property
    def granted(self) -> list[int]:
        both = (self.guest.tty, self.guest.mailbox)
        return [number for number in both if number >= 0]

    @property
    def own(self) -> int:
        """Guest coordinates, as an address has them."""
        return self.coordinates(self.index)

    def coordinates(self, index: int) -> int:
        y, x = divmod(index, self.guest.width)
        return x << 28 | y << 24

    def partner(self, rng: Random) -> int:
        others = [n for n in range(self.guest.clusters) if n != self.index]
        return self.coordinates(rng.choice(others))


def _page(number: int) -> int:
    return _OWN + WINDOW_OFFSET + PAGE * number


_ANY = (1, 2, 4)
_PLAIN_REGISTERS = [
    register.value
    for register in (
        *(GuestRegister.COORDINATES, GuestRegister.SIZE, GuestRegister.MEMORY),
        *(GuestRegister.CORE, GuestRegister.FLAGS),
    )
]
_MAILBOX = CORE_REGISTERS + CoreRegister.MAILBOX.value


def _own_register(rng: Random, where: _Where, access: str) -> _Aim:
    registers = [*_PLAIN_REGISTERS, GuestRegister.FAULT_ADDRESS.value]
    registers += [CORE_REGISTERS + CoreRegister.ENABLE.value]
    if access == "load":
        registers.append(GuestRegister.FAULTS.value)
    if where.alone:  # others of the VM may write it
        registers += [_MAILBOX, CORE_REGISTERS + CoreRegister.MAILBOX_FULL.value]
    timed = [GuestRegister.TIME.value, CORE_REGISTERS + CoreRegister.PENDING.value]
    register = rng.choice(registers + timed)
    return _Aim(address=_OWN + REGISTER_OFFSET + register, kept=register not in timed)


def _granted(rng: Random, where: _Where, access: str) -> _Aim:
    # A channel's state is the leader's, or the order of two clusters would show.
    number, register = where.guest.tty, ChannelRegister.STATUS.value
    if where.index == 0:
        number = rng.choice(where.granted)
        register = rng.choice((0, 4, 4, 8, 12))
    byte = number == where.guest.tty and register == ChannelRegister.DATA.value
    return _Aim(address=_page(number) + register, byte=byte)


def _not_granted(rng: Random, where: _Where, access: str) -> _Aim:
    numbers = [n for n in range(where.config.guest_channels + 2) if n not in where.granted]
    return _Aim(address=_page(rng.choice((*numbers, 0x3F))) + rng.choice((0, 4, 4, 8)))


def _outside(rng: Random, where: _Where, access: str) -> _Aim:
    guest = where.guest
    near = [(guest.width, 0), (0, guest.height), (guest.width, guest.height)]
    gx, gy = rng.choice(near) if rng.randrange(3) else (rng.randrange(16), rng.randrange(16))
    if gx < guest.width and gy < guest.height:
        gx = guest.width
    if gx == gy == 15:
        gy = 14
    at = gx << 28 | gy << 24
    if rng.randrange(3):
        offset = rng.choice((0, 0x800, DATA, where.config.memory_bytes - _OFFSET - 4))
        return _Aim(address=at + offset, shift=_OFFSET, sizes=_ANY)
    offset = rng.choice((REGISTER_OFFSET, REGISTER_OFFSET + _MAILBOX, WINDOW_OFFSET + 4))
    return _Aim(address=at + offset)


def _beyond(rng: Random, where: _Where) -> int:
    size = where.config.memory_bytes
    return rng.choice((size, size + rng.randrange(size) // 1024 * 1024, REGISTER_OFFSET - 1024))


_AIMS: dict[str, Callable[[Random, _Where, str], _Aim]] = {
    "own memory": lambda rng, where, access: _Aim(address=_OWN + DATA, shift=_OFFSET, sizes=_ANY),
    "own memory by coordinates": lambda rng, where, access: _Aim(
        address=where.own + DATA, shift=_OFFSET, sizes=_ANY
    ),
    "own address beyond memory": lambda rng, where, access: _Aim(
        address=rng.choice((_OWN, where.own)) + _beyond(rng, where), shift=_OFFSET, sizes=_ANY
    ),
    "own register": _own_register,
    "part of a register": lambda rng, where, access: _Aim(
        address=_OWN + REGISTER_OFFSET + rng.choice(_PLAIN_REGISTERS), sizes=(1, 2)
    ),
    "no register of a cluster": lambda rng, where, access: _Aim(
        address=_OWN + REGISTER_OFFSET + rng.choice((0x800, 0xC00, 0x1000)), shift=_OFFSET
    ),
    "granted channel": _granted,
    "channel that was not granted": _not_granted,
    "part of a channel's word": lambda rng, where, access: _Aim(
        address=_page(rng.choice(where.granted)) + rng.choice((0, 4)), sizes=(1, 2)
    ),
    "no register of a channel": lambda rng, where, access: _Aim(
        address=_page(rng.choice(where.granted)) + rng.choice((0x10, 0x100)), shift=_OFFSET & ~0x100
    ),
    "outside of the rectangle": _outside,
    "partner's memory": lambda rng, where, access: (
        _Aim(address=where.partner(rng), shift=0xFC)
        if access == "load"
        else _Aim(
            address=where.partner(rng) + INBOX + _INBOX_BYTES * where.index, shift=0xFC, sizes=_ANY
        )
    ),
    "partner's register": lambda rng, where, access: _Aim(
        address=where.partner(rng)
        + REGISTER_OFFSET
        + rng.choice(_PLAIN_REGISTERS + [_MAILBOX] * 3 * (access == "store"))
    ),
    "partner's channel window": lambda rng, where, access: _Aim(
        address=where.partner(rng) + WINDOW_OFFSET + rng.choice((0, 4, PAGE))
    ),
    "partner's address beyond memory": lambda rng, where, access: _Aim(
        address=where.partner(rng) + _beyond(rng, where), shift=_OFFSET, sizes=_ANY
    ),
}
"""By target of :mod:`~blindvisor.verification.fuzz.coverage`."""

_FETCHES: dict[str, Callable[[Random, _Where], int]] = {
    "outside of the rectangle": lambda rng, where: _outside(rng, where, "fetch").address,
    "own address beyond memory": lambda rng, where: _OWN + _beyond(rng, where),
    "own register": lambda rng, where: _OWN + REGISTER_OFFSET,
    "window": lambda rng, where: _page(where.guest.tty),
}


def _access(rng: Random, where: _Where, target: str, access: str) -> Block:
    aim = _AIMS[target](rng, where, access)
    size = rng.choice(aim.sizes)
    lane = rng.randrange(4) if aim.sizes == _ANY and rng.randrange(8) == 0 else 0
    if size == 1:
        lane = rng.randrange(4)
    words = [i_type(0x13, 7, _AT, _SHIFT, aim.shift), *li(_BASE, aim.address + lane)]
    words.append(_BASE << 20 | i_type(0x33, 0, _AT, _AT, 0))
    kind = {1: 0, 2: 1, 4: 2}[size]
    if access == "load":
        unsigned = 4 if size < 4 and rng.randrange(2) else 0
        register = rng.randrange(1, 16) if aim.kept else 0
        words += [i_type(0x03, kind | unsigned, register, _AT, 0), *_mix(register)]
    else:
        register = rng.randrange(16)
        if aim.byte:
            words.append(i_type(0x13, 7, _BASE, register, 0x7F))
            register = _BASE
        words.append(s_type(kind, _AT, register, 0))
    return Block(words=tuple(words), access=access, target=target)


def _fetch(rng: Random, where: _Where, target: str) -> Block:
    words = [u_type(0x17, _BACK, 0), addi(_BACK, _BACK, 20)]
    words += [*li(_AT, _FETCHES[target](rng, where)), i_type(0x67, 0, 0, _AT, 0)]
    return Block(words=tuple(words), access="fetch", target=target)


def blocks(rng: Random, config: MachineConfig, guest: Guest, index: int) -> tuple[Block, ...]:
    """Return a random program for a cluster of a guest."""
    where = _Where(config=config, guest=guest, index=index)
    targets = [name for name in _AIMS if not (where.alone and name.startswith("partner"))]
    made, size = [], 0
    for _ in range(LONGEST):
        match rng.randrange(8):
            case 0 | 1:
                words = tuple(word for _ in range(4) for word in computation(rng))
                block = Block(words=words, access="run", target="any instruction but an access")
            case 2:
                block = _fetch(rng, where, rng.choice([*_FETCHES]))
            case _:
                block = _access(rng, where, rng.choice(targets), rng.choice(("load", "store")))
        size += len(block.words)
        if size > _ROOM:
            break
        made.append(block)
    return tuple(made)


_ROOM = (INBOX - 4 * 120) // 4  # words of blocks: the frame takes some hundred
