# SPDX-License-Identifier: Apache-2.0
"""Encodes the few RV32I instructions that benches need, so that they need no compiler."""

__all__ = ["addi", "beq", "csrr", "csrw", "jump", "li", "lw", "mret", "sw"]


def addi(rd: int, rs1: int, immediate: int) -> int:
    """``rd = rs1 + immediate`` (-2048 to 2047)."""
    return (immediate & 0xFFF) << 20 | rs1 << 15 | rd << 7 | 0x13


def li(rd: int, value: int) -> list[int]:
    """``rd = value`` (32 bits), always two instructions."""
    low = ((value & 0xFFF) ^ 0x800) - 0x800
    upper = (value - low) & 0xFFFFF000
    return [upper | rd << 7 | 0x37, addi(rd, rd, low)]


def lw(rd: int, rs1: int, offset: int = 0) -> int:
    """``rd = memory[rs1 + offset]``."""
    return (offset & 0xFFF) << 20 | rs1 << 15 | 2 << 12 | rd << 7 | 0x03


def sw(rs2: int, rs1: int, offset: int = 0) -> int:
    """``memory[rs1 + offset] = rs2``."""
    high, low = (offset & 0xFFF) >> 5, offset & 0x1F
    return high << 25 | rs2 << 20 | rs1 << 15 | 2 << 12 | low << 7 | 0x23


def beq(rs1: int, rs2: int, offset: int) -> int:
    """Go on at this instruction + ``offset`` bytes if the registers are equal."""
    bits = (
        (offset >> 12 & 1) << 31
        | (offset >> 5 & 0x3F) << 25
        | (offset >> 1 & 0xF) << 8
        | (offset >> 11 & 1) << 7
    )
    return bits | rs2 << 20 | rs1 << 15 | 0x63


def jump(offset: int) -> int:
    """Go on at this instruction + ``offset`` bytes."""
    bits = (
        (offset >> 20 & 1) << 31
        | (offset >> 1 & 0x3FF) << 21
        | (offset >> 11 & 1) << 20
        | (offset >> 12 & 0xFF) << 12
    )
    return bits | 0x6F


def csrw(csr: int, rs1: int) -> int:
    """``csr = rs1``."""
    return csr << 20 | rs1 << 15 | 1 << 12 | 0x73


def csrr(rd: int, csr: int) -> int:
    """``rd = csr``."""
    return csr << 20 | 2 << 12 | rd << 7 | 0x73


def mret() -> int:
    """Return from a trap."""
    return 0x30200073
