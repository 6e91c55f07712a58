# SPDX-License-Identifier: Apache-2.0
"""Guests of the attacks: one with a secret, one that searches what others left, one that probes.

All are for the own cluster's memory from offset 0 on and speak on guest channel 0 unless told
otherwise. Searcher and prober send frames: :func:`read_frames`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from blindvisor.hdl.abi import (
    OWN_CLUSTER,
    REGISTER_OFFSET,
    WINDOW_OFFSET,
    CoreRegister,
    GuestRegister,
)
from blindvisor.sw.cheader import CORE_REGISTERS, PAGE
from blindvisor.verification.attacks.assembly import Assembler
from blindvisor.verification.rv32 import addi, csrr, csrw, li, lw, sw

__all__ = [
    "CORE_MAILBOX",
    "INTACT",
    "SECRET_OFFSET",
    "Found",
    "Probe",
    "ProbeKind",
    "channel_address",
    "finish_frames",
    "prober",
    "read_frames",
    "searcher",
    "send_word_frame",
    "victim",
]

SECRET_OFFSET = 0x800
"""Where the victim's secret is in each of its clusters, over and over."""

INTACT = 0x2E
"""What the victim says after each pass, plus its guest x: "." and so on. "!" means that its memory
or that of the cluster at guest (1, 0) changed, "i" that it saw an interrupt of a channel."""

CORE_MAILBOX = REGISTER_OFFSET + CORE_REGISTERS + CoreRegister.MAILBOX.value
"""Offset in a cluster, for core 0."""

_OWN = OWN_CLUSTER << 24
_REGISTERS = _OWN + REGISTER_OFFSET
_CORE = CORE_REGISTERS
_MTVEC, _MSCRATCH, _MEPC, _MTVAL = 0x305, 0x340, 0x341, 0x343
_SECRET_WORDS = 64

_COPIES = 0x600  # where the searcher puts what it found in registers; x0 + 12 bits reach it
_WORD, _END, _STORED = 1, 2, 3
_LIMIT = 24  # words that the searcher sends of registers, and of memory, at most


def channel_address(guest: int) -> int:
    """Return the address of the STATUS register of a guest channel."""
    return _OWN + WINDOW_OFFSET + PAGE * guest


def victim(secret: bytes) -> bytes:
    """Return a guest that holds 16 bytes of secret in memory, registers and its core's mailbox.

    It checks its memory for ever and says what it sees; see :data:`INTACT`. It never reads what
    is typed, so that stays in the channel.
    """
    a = Assembler()
    a.emit(li(1, channel_address(0)), li(2, _REGISTERS))
    a.la(3, "go")
    # A denied access, for the trace that its address leaves. To the I/O window, because without
    # the checks of the mesh an access to other clusters would never be answered.
    a.emit(csrw(_MTVEC, 3), li(3, channel_address(1)), lw(4, 3))
    a.label("go")
    a.la(3, "pass")
    a.emit(csrw(_MTVEC, 3), li(5, _OWN + SECRET_OFFSET))
    a.emit(lw(28, 5, 0), lw(29, 5, 4), lw(30, 5, 8), lw(31, 5, 12))
    a.emit(*(addi(16 + n, 28 + n % 4, 0) for n in range(12)))
    a.emit(csrw(_MSCRATCH, 28), sw(29, 2, _CORE + CoreRegister.MAILBOX.value))
    a.emit(li(6, _OWN + SECRET_OFFSET + 4 * _SECRET_WORDS))
    a.label("fill")
    a.emit(sw(28, 5, 0), sw(29, 5, 4), sw(30, 5, 8), sw(31, 5, 12), addi(5, 5, 16))
    a.bne(5, 6, "fill")
    a.label("pass")
    a.emit(li(5, _OWN + SECRET_OFFSET))
    a.label("check")
    for n in range(4):
        a.emit(lw(8, 5, 4 * n))
        a.bne(8, 28 + n, "changed")
    a.emit(addi(5, 5, 16))
    a.bne(5, 6, "check")
    a.emit(li(5, 0x1000_0000 + SECRET_OFFSET), lw(8, 5))
    a.bne(8, 28, "changed")
    a.emit(lw(8, 2, GuestRegister.COORDINATES.value), addi(8, 8, INTACT))
    a.emit(lw(9, 2, _CORE + CoreRegister.PENDING.value))
    a.beq(9, 0, "say")
    a.emit(addi(8, 0, ord("i")))
    a.jump("say")
    a.label("changed")
    a.emit(addi(8, 0, ord("!")))
    a.label("say")
    a.send_byte(8, 1, 9)
    a.jump("pass")
    return a.finish().ljust(SECRET_OFFSET, b"\0") + secret


def searcher(memory_bytes: int) -> bytes:
    """Return a guest for one cluster that sends every word there that is not its own nor zero.

    First registers and control registers as they were at its start, then its cluster's registers
    that a former owner could have written, then memory.
    """
    a = Assembler()
    a.emit(*(sw(n, 0, _COPIES + 4 * n) for n in range(1, 32)))
    end = _COPIES + 4 * 32
    for csr in (_MSCRATCH, _MEPC, _MTVAL):
        a.emit(csrr(1, csr), sw(1, 0, end))
        end += 4
    a.emit(li(2, _REGISTERS))
    for register in (
        GuestRegister.FAULTS.value,
        GuestRegister.FAULT_ADDRESS.value,
        _CORE + CoreRegister.PENDING.value,
        _CORE + CoreRegister.ENABLE.value,
        _CORE + CoreRegister.MAILBOX.value,
    ):
        a.emit(lw(1, 2, register), sw(1, 0, end))
        end += 4
    a.emit(li(10, channel_address(0)))
    for name, first, last in (
        ("copies", _COPIES + 4, end),
        ("memory", SECRET_OFFSET - 0x100, memory_bytes),
    ):
        a.emit(li(11, _OWN + first), li(12, _OWN + last), addi(14, 0, _LIMIT))
        a.label(name)
        a.emit(lw(13, 11))
        a.beq(13, 0, f"{name}_next")
        send_word_frame(a, address=11, word=13)
        a.emit(addi(14, 14, -1))
        a.beq(14, 0, f"{name}_done")
        a.label(f"{name}_next")
        a.emit(addi(11, 11, 4))
        a.bne(11, 12, name)
        a.label(f"{name}_done")
    a.emit(addi(15, 0, 0))
    finish_frames(a)
    if a.size > _COPIES:
        raise AssertionError(f"the searcher must fit below its copies, not take {a.size} bytes")
    return a.finish()


class ProbeKind(IntEnum):
    """What the prober does with an entry of its table."""

    LOAD = 0
    STORE = 1
    WAIT = 2  # ``value`` rounds of some ten cycles
    END = 3


@dataclass(frozen=True)
class Probe:
    """One entry of the prober's table."""

    kind: ProbeKind
    address: int = 0
    value: int = 0


def prober(probes: Sequence[Probe], *, speaks_on: int = 0) -> bytes:
    """Return a guest that makes accesses and sends what did not trap.

    ``speaks_on``: its guest channel.
    """
    a = Assembler()
    a.emit(li(10, channel_address(speaks_on)))
    a.la(3, "trap")
    a.emit(csrw(_MTVEC, 3), addi(15, 0, 0))
    a.la(4, "table")
    a.label("next")
    a.emit(lw(7, 4, 0), lw(11, 4, 4), lw(13, 4, 8), addi(4, 4, 12))
    for kind in (ProbeKind.STORE, ProbeKind.WAIT, ProbeKind.END):
        a.emit(addi(8, 0, kind.value))
        a.beq(7, 8, kind.name)
    a.emit(lw(13, 11))
    send_word_frame(a, address=11, word=13)
    a.jump("next")
    a.label("STORE")
    a.emit(sw(13, 11))
    a.emit(addi(9, 0, _STORED))
    a.send_byte(9, 10, 8)
    a.send_word(11, 10, 8)
    a.jump("next")
    a.label("WAIT")
    a.emit(addi(13, 13, -1))
    a.bne(13, 0, "WAIT")
    a.jump("next")
    a.label("trap")
    a.emit(addi(15, 15, 1))
    a.jump("next")
    a.label("END")
    finish_frames(a)
    a.label("table")
    for probe in (*probes, Probe(ProbeKind.END)):
        a.emit(probe.kind.value, probe.address, probe.value)
    return a.finish()


def send_word_frame(a: Assembler, *, address: int, word: int) -> None:
    """Send a frame with the contents of two registers, both of which keep them."""
    a.emit(addi(9, 0, _WORD))
    a.send_byte(9, 10, 8)
    for register in (address, word):
        a.emit(addi(9, register, 0))
        a.send_word(9, 10, 8)


def finish_frames(a: Assembler) -> None:
    """Send the last frame, with register 15, and stay."""
    a.emit(addi(9, 0, _END))
    a.send_byte(9, 10, 8)
    a.send_word(15, 10, 8)
    a.label("stay")
    a.jump("stay")


@dataclass
class Found:
    """What searcher or prober sent.

    Members
    -------
    words : list of (address, word)
        Loads that were answered.
    stored : list of :class:`int`
        Addresses of stores that were.
    traps : :class:`int` or None
        How many accesses trapped; None: it did not get to its end.
    """

    words: list[tuple[int, int]] = field(default_factory=list)
    stored: list[int] = field(default_factory=list)
    traps: int | None = None

    @property
    def data(self) -> bytes:
        """All words, and then their lowest bytes, as a TTY has them."""
        whole = b"".join(word.to_bytes(4, "little") for _, word in self.words)
        return whole + bytes(word & 0xFF for _, word in self.words)


def read_frames(sent: bytes) -> Found:
    """Decode what searcher or prober sent, up to the first frame that is not complete."""
    found, place = Found(), 0

    def number() -> int:
        nonlocal place
        place += 4
        return int.from_bytes(sent[place - 4 : place], "little")

    sizes = {_WORD: 9, _STORED: 5, _END: 5}
    while place < len(sent) and found.traps is None:
        kind = sent[place]
        if kind not in sizes or place + sizes[kind] > len(sent):
            break
        place += 1
        if kind == _WORD:
            address = number()
            found.words.append((address, number()))
        elif kind == _STORED:
            found.stored.append(number())
        else:
            found.traps = number()
    return found
