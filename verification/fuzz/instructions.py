# SPDX-License-Identifier: Apache-2.0
"""Random RV32 instructions that only go forward, traps and nonsense included."""

from random import Random

__all__ = ["FORWARD", "computation", "i_type", "instruction", "s_type", "u_type"]

FORWARD = (0x13, 0x0000_0397, 0x00C3_8467)
"""nop; auipc x7, 0; jalr x8, x7, 12: over one instruction. A jump over the nop is harmless."""

NOP = 0x13

_INTERRUPT_REGISTERS = (0x304, 0x344)  # mie, mip
_LOAD, _STORE, _SYSTEM = 0x03, 0x23, 0x73


def u_type(opcode: int, rd: int, value: int) -> int:
    """``lui`` and ``auipc``."""
    return value & 0xFFFF_F000 | rd << 7 | opcode


def i_type(opcode: int, f3: int, rd: int, rs1: int, value: int) -> int:
    """An instruction with 12 bits in it."""
    return (value & 0xFFF) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode


def s_type(f3: int, rs1: int, rs2: int, value: int) -> int:
    """A store."""
    return (value >> 5 & 127) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | (value & 31) << 7 | 0x23


def instruction(rng: Random) -> tuple[int, ...]:
    """One instruction, or a pair that belongs together. Uses x0..x15 alone; goes forward alone."""
    rd, rs1, rs2 = (rng.randrange(16) for _ in "abc")
    f3 = rng.randrange(8)
    near = rng.choice((rng.randrange(0x700), 4 * rng.randrange(0x100)))
    match rng.randrange(14):
        case 0 | 1:
            f7 = rng.choice((0, 0, 0x20, 1, 1, 3))
            return (f7 << 25 | rs2 << 20 | i_type(0x33, f3, rd, rs1, 0),)
        case 2 | 3:
            value = rng.choice((rng.getrandbits(12), rng.randrange(32), 0x41F))
            return (i_type(0x13, f3, rd, rs1, value),)
        case 4:
            return (u_type(rng.choice((0x37, 0x17)), rd, rng.getrandbits(32)),)
        case 5 | 6:
            return (i_type(_LOAD, f3, rd, rng.choice((0, 0, rs1)), near),)
        case 7 | 8:
            return (s_type(rng.choice((0, 1, 2, f3)), rng.choice((0, 0, rs1)), rs2, near),)
        case 9:  # branch over one instruction, or to half of one
            offset = rng.choice((8, 8, 8, 6))
            return (rs2 << 20 | rs1 << 15 | f3 << 12 | offset << 7 | 0x63,)
        case 10:
            return rng.choice((FORWARD, (8 << 20 | rd << 7 | 0x6F,), (6 << 20 | rd << 7 | 0x6F,)))
        case 11:
            registers = (
                *(0x300, 0x301, 0x304, 0x340, 0x340, 0x341),
                *(0x342, 0x343, 0x344, 0xF14, 0x7C0),
            )
            return (i_type(_SYSTEM, f3 or 1, rd, rs1, rng.choice(registers)),)
        case 12:
            return (rng.choice((0x73, 0x0010_0073, 0x1050_0073, 0x0FF0_000F, 0x0000_100F, 0)),)
        case _:  # anything that neither jumps nor touches memory or the machine's state
            word = rng.getrandbits(32)
            # Whatever its lowest two bits are: of a word that would be a jump but for them, Minerva
            # traps with the jump's target instead of as an illegal instruction.
            wild = (word | 3) & 0x7F in (0x63, 0x6F, 0x67, _LOAD, _STORE, _SYSTEM)
            return (word & ~0xF80 | rd << 7 if not wild else 0xFFFF_FFFF,)


def computation(rng: Random) -> tuple[int, ...]:
    """One of :func:`instruction` that touches neither memory nor interrupts, and a landing place.

    Interrupts come when they come: what depends on them has more than one right answer.
    """
    while True:
        words = instruction(rng)
        if not any(map(_excluded, words)):
            return (*words, NOP)


def _excluded(word: int) -> bool:
    opcode = word & 0x7F
    return opcode in (_LOAD, _STORE) or (opcode == _SYSTEM and word >> 20 in _INTERRUPT_REGISTERS)
