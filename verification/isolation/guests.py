# SPDX-License-Identifier: Apache-2.0
"""Programs of the attackers: floods of every kind, and both ends of a covert channel."""

import random
from collections.abc import Sequence

from blindvisor.hdl.abi import OWN_CLUSTER, REGISTER_OFFSET, GuestRegister
from blindvisor.verification.attacks.assembly import Assembler, sub
from blindvisor.verification.attacks.programs import (
    channel_address,
    finish_frames,
    send_word_frame,
)
from blindvisor.verification.rv32 import addi, csrr, csrw, li, lw, mret, sw

__all__ = ["ACCESSES", "flooder", "receiver", "sender"]

_OWN = OWN_CLUSTER << 24
_MTVEC, _MEPC = 0x305, 0x341
_DATA = 0x3000  # offset of what is read and written, past the programs
_TIMES = 0x2000  # where the receiver keeps what it measured
_BLOCKS, _BURST = 24, 8

ACCESSES = 4
"""Loads of the receiver per symbol."""


def flooder(
    rng: random.Random,
    *,
    width: int,
    height: int,
    foreign: Sequence[tuple[int, int]],
    stores: bool,
    channel: bool,
) -> bytes:
    """Return a guest that makes all kinds of accesses for ever, in an order of its own.

    Own memory, other clusters of its VM, clusters that are not its VM's, its I/O channel, and
    channels that it does not have; what traps is passed over.

    Parameters
    ----------
    rng : :class:`random.Random`
        Decides on the order.
    width, height : :class:`int`
        Of its VM.
    foreign : pairs of :class:`int`
        Guest coordinates of clusters that are not its VM's.
    stores : :class:`bool`
        Whether it also stores to those.
    channel : :class:`bool`
        Whether its VM has guest channel 0, and no other.
    """
    a = _with_traps_passed_over()
    a.label("flood")
    for _ in range(_BLOCKS):
        kind = rng.choice(["own", "mesh", "mesh", "foreign", "foreign", "io", "io"])
        store = rng.random() < 0.5
        if kind == "own":
            address = _OWN + _DATA
        elif kind == "io":
            address, store = channel_address(0 if channel else rng.randrange(4)), False
        else:
            inside = kind == "mesh"
            x, y = (rng.randrange(width), rng.randrange(height)) if inside else rng.choice(foreign)
            address = x << 28 | y << 24 | _DATA
            store = store and (inside or stores)
        a.emit(li(5, address))
        a.emit(*((sw(5, 5) if store else lw(7, 5)) for _ in range(rng.randint(1, _BURST))))
    a.jump("flood")
    return a.finish()


def _with_traps_passed_over() -> Assembler:
    a = Assembler()
    a.jump("begin")
    a.label("trap")
    a.emit(csrr(31, _MEPC), addi(31, 31, 4), csrw(_MEPC, 31), mret())
    a.label("begin")
    a.la(3, "trap")
    a.emit(csrw(_MTVEC, 3))
    return a


def sender(bits: Sequence[int], target: int, *, period: int, busy: int) -> bytes:
    """Return a guest that accesses ``target`` without a pause in each period whose bit is 1.

    Parameters
    ----------
    bits : sequence of 0 and 1
        One per period.
    target : :class:`int`
        Guest-physical address that it loads from.
    period, busy : :class:`int`
        Cycles of a period, and how many of them it is busy for.
    """
    a = _with_traps_passed_over()
    a.emit(li(2, _OWN + REGISTER_OFFSET), li(4, period), li(5, target), li(20, 0))
    a.la(6, "bits")
    a.la(7, "end")
    a.label("period")
    a.emit(lw(8, 6), addi(6, 6, 4), li(9, busy), _add(9, 9, 20), _add(20, 20, 4))
    a.beq(8, 0, "rest")
    a.label("flood")
    a.emit(*[lw(10, 5)] * 2, lw(11, 2, GuestRegister.TIME.value))
    _branch_below(a, 11, 9, "flood")
    a.label("rest")
    _wait_until(a, 20, "waits")
    a.bne(6, 7, "period")
    a.label("stay")
    a.jump("stay")
    a.label("bits")
    a.emit(*bits)
    a.label("end")
    return a.finish()


def receiver(symbols: int, target: int, *, period: int) -> bytes:
    """Return a guest whose cluster (0, 0) times loads in each period, and sends what it measured.

    Parameters
    ----------
    symbols : :class:`int`
        Periods in which it measures.
    target : :class:`int`
        Guest-physical address that it loads from, :data:`ACCESSES` times per period.
    period : :class:`int`
        Cycles.
    """
    a = _with_traps_passed_over()
    a.emit(li(2, _OWN + REGISTER_OFFSET), li(10, channel_address(0)), li(4, period))
    a.emit(lw(7, 2, GuestRegister.COORDINATES.value))
    a.bne(7, 0, "other")
    a.emit(li(5, target), li(16, _OWN + _TIMES), li(17, symbols), addi(20, 4, 0))
    a.label("symbol")
    _wait_until(a, 20, "waits")
    a.emit(lw(6, 2, GuestRegister.TIME.value), *[lw(7, 5)] * ACCESSES)
    a.emit(lw(8, 2, GuestRegister.TIME.value), sub(8, 8, 6), sw(8, 16), addi(16, 16, 4))
    a.emit(_add(20, 20, 4), addi(17, 17, -1))
    a.bne(17, 0, "symbol")
    a.emit(li(11, _OWN + _TIMES), addi(15, 0, 0))
    a.label("send")
    a.emit(lw(13, 11))
    send_word_frame(a, address=11, word=13)
    a.emit(addi(11, 11, 4))
    a.bne(11, 16, "send")
    finish_frames(a)
    a.label("other")
    a.jump("other")
    return a.finish()


def _add(rd: int, rs1: int, rs2: int) -> int:
    return rs2 << 20 | rs1 << 15 | rd << 7 | 0x33


def _branch_below(a: Assembler, rs1: int, rs2: int, target: str) -> None:
    """Go on at a label if ``rs1 < rs2``, both below 2^31."""
    a.emit(sub(30, rs1, rs2), 31 << 20 | 30 << 15 | 5 << 12 | 30 << 7 | 0x13)  # srli 30, 30, 31
    a.bne(30, 0, target)


def _wait_until(a: Assembler, register: int, label: str) -> None:
    """Stay until TIME is not below a register's value."""
    a.label(label)
    a.emit(lw(29, 2, GuestRegister.TIME.value))
    _branch_below(a, 29, register, label)
