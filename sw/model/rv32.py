# SPDX-License-Identifier: Apache-2.0
"""RV32I(M) interpreter with machine-level control registers and precise traps.

Source: The RISC-V Instruction Set Manual, volume I (RV32I 2.1, M 2.0, Zicsr) and volume II
(machine level), with Minerva's choices: unknown control registers read as 0 and ignore writes,
``mtvec`` is direct, ``mret`` leaves MPIE, ``mcause`` cannot be written, ``mtval`` of an access
fault is the address of the word.
"""

from collections.abc import Callable
from typing import Protocol

__all__ = ["AccessError", "Core", "CoreBus", "Decoder", "Trap"]

MASK = 0xFFFF_FFFF
SIGN = 0x8000_0000

MISA_I = 1 << 30 | 1 << 8
MISA_M = 1 << 12
MSTATUS, MISA, MIE, MTVEC = 0x300, 0x301, 0x304, 0x305
MSCRATCH, MEPC, MCAUSE, MTVAL, MIP = 0x340, 0x341, 0x342, 0x343, 0x344

_WRITABLE = {  # bits that a write changes
    MSTATUS: 0x1888,
    MIE: 0xFFFF_0888,
    MTVEC: MASK,
    MSCRATCH: MASK,
    MEPC: 0xFFFF_FFFC,
    MTVAL: MASK,
}
_INTERRUPTS = (3, 7, 11)  # software, timer, external: in order of priority

_FETCH_MISALIGNED, _FETCH_FAULT, _ILLEGAL, _BREAKPOINT = 0, 1, 2, 3
_LOAD_MISALIGNED, _LOAD_FAULT, _STORE_MISALIGNED, _STORE_FAULT, _ECALL = 4, 5, 6, 7, 11

_NOWHERE = 32  # where results for x0 go


class AccessError(Exception):
    """The bus answered with an error."""


class Trap(Exception):
    """An exception of the instruction under way."""

    def __init__(self, cause: int, value: int) -> None:
        super().__init__(cause, value)
        self.cause = cause
        self.value = value


class CoreBus(Protocol):
    """What a core is attached to. Addresses are of aligned words; ``select`` is byte lanes."""

    def fetch(self, address: int) -> int:
        """Return an instruction; raise :exc:`AccessError` if there is none."""
        ...

    def load(self, core: int, address: int, select: int) -> int:
        """Return a word."""
        ...

    def store(self, core: int, address: int, select: int, value: int) -> None:
        """Write the selected bytes of a word."""
        ...

    def interrupts(self, core: int) -> int:
        """Return the interrupt levels, as in ``mip``."""
        ...


class Core:
    """One core: registers, program counter, control registers.

    Parameters
    ----------
    number : :class:`int`
        Which core of its cluster.
    bus : :class:`CoreBus`
        Its cluster.
    decoder : :class:`Decoder`
        Says which instructions there are; shared by all cores of a machine.
    reset_address : :class:`int`
        Where it starts.
    """

    def __init__(
        self, *, number: int, bus: CoreBus, decoder: "Decoder", reset_address: int
    ) -> None:
        self.number = number
        self.bus = bus
        self._decoder = decoder
        self._reset_address = reset_address
        self.reset()

    def reset(self) -> None:
        """Everything as at the start of a VM."""
        self.pc = self._reset_address
        self.registers = [0] * (_NOWHERE + 1)
        misa = MISA_I | (MISA_M if self._decoder.multiply else 0)
        self.csrs = dict.fromkeys(_WRITABLE, 0) | {MSTATUS: 0x1800, MISA: misa, MCAUSE: 0}

    def run(self, count: int) -> None:
        """Execute that many instructions; interrupts are taken before the first."""
        self._interrupt()
        fetch, operations, decode = self.bus.fetch, self._decoder.operations, self._decoder.decode
        while count > 0:
            try:
                while count > 0:
                    count -= 1
                    word = fetch(self.pc)
                    operation = operations.get(word)
                    if operation is None:
                        operation = decode(word)
                    operation(self)
            except AccessError:
                self._trap(_FETCH_FAULT, self.pc)
            except Trap as trap:
                self._trap(trap.cause, trap.value)

    def _interrupt(self) -> None:
        csrs = self.csrs
        if csrs[MSTATUS] & 8 and (wanted := csrs[MIE] & self.bus.interrupts(self.number)):
            number = next(n for n in _INTERRUPTS if wanted >> n & 1)
            self._trap(1 << 31 | number, 0)

    def _trap(self, cause: int, value: int) -> None:
        csrs = self.csrs
        status = csrs[MSTATUS]
        csrs[MSTATUS] = status & ~0x88 | (status & 8) << 4
        csrs[MEPC] = self.pc
        csrs[MCAUSE] = cause
        csrs[MTVAL] = value
        self.pc = csrs[MTVEC] & ~3

    def load(self, address: int, size: int) -> int:
        """Return ``size`` bytes, zero-extended."""
        if address & size - 1:
            raise Trap(_LOAD_MISALIGNED, address)
        lane = address & 3
        try:
            word = self.bus.load(self.number, address & ~3, _lanes(lane, size))
        except AccessError:
            raise Trap(_LOAD_FAULT, address & ~3) from None
        return word >> 8 * lane & (1 << 8 * size) - 1

    def store(self, address: int, size: int, value: int) -> None:
        """Write ``size`` bytes."""
        if address & size - 1:
            raise Trap(_STORE_MISALIGNED, address)
        lane = address & 3
        try:
            self.bus.store(self.number, address & ~3, _lanes(lane, size), value << 8 * lane & MASK)
        except AccessError:
            raise Trap(_STORE_FAULT, address & ~3) from None

    def jump(self, target: int) -> None:
        """Go on at ``target``."""
        if target & 3:
            raise Trap(_FETCH_MISALIGNED, target)
        self.pc = target

    def read_csr(self, address: int) -> int:
        """Return a control register."""
        if address == MIP:
            return self.bus.interrupts(self.number)
        return self.csrs.get(address, 0)

    def write_csr(self, address: int, value: int) -> None:
        """Write the bits of a control register that can be written."""
        mask = _WRITABLE.get(address)
        if mask is not None:
            self.csrs[address] = value & mask

    def mret(self) -> None:
        """Return from a trap."""
        status = self.csrs[MSTATUS]
        self.csrs[MSTATUS] = status & ~8 | (status >> 4 & 8)
        self.pc = self.csrs[MEPC]


Operation = Callable[[Core], None]


class Decoder:
    """Turns instruction words into functions, each once.

    Parameters
    ----------
    multiply : :class:`bool`
        Whether there is the M extension.
    """

    def __init__(self, *, multiply: bool) -> None:
        self.multiply = multiply
        self.operations: dict[int, Operation] = {}

    def decode(self, word: int) -> Operation:
        """Return what the instruction does."""
        operation = self._decode(word)
        if operation is None:

            def illegal(core: Core) -> None:
                raise Trap(_ILLEGAL, word)

            operation = illegal
        self.operations[word] = operation
        return operation

    def _decode(self, word: int) -> Operation | None:
        if word & 3 != 3:
            return None
        rd = word >> 7 & 31 or _NOWHERE
        rs1, rs2 = word >> 15 & 31, word >> 20 & 31
        f3, f7 = word >> 12 & 7, word >> 25
        immediate = _signed(word) >> 20
        match word >> 2 & 31:
            case 0b01101:  # lui
                return _constant(rd, word & 0xFFFFF000)
            case 0b00101:  # auipc
                return _auipc(rd, word & 0xFFFFF000)
            case 0b11011:  # jal
                offset = (
                    (word >> 21 & 0x3FF) << 1
                    | (word >> 20 & 1) << 11
                    | (word >> 12 & 0xFF) << 12
                    | (_signed(word) >> 31) << 20
                )
                return _jal(rd, offset)
            case 0b11001 if f3 == 0:
                return _jalr(rd, rs1, immediate)
            case 0b11000 if f3 in _CONDITIONS:
                offset = (
                    (word >> 8 & 15) << 1
                    | (word >> 25 & 63) << 5
                    | (word >> 7 & 1) << 11
                    | (_signed(word) >> 31) << 12
                )
                return _branch(_CONDITIONS[f3], rs1, rs2, offset)
            case 0b00000 if f3 in (0, 1, 2, 4, 5):
                return _load(rd, rs1, immediate, 1 << (f3 & 3), signed=f3 < 2)
            case 0b01000 if f3 < 3:
                offset = immediate & ~31 | word >> 7 & 31
                return _store(rs1, rs2, offset, 1 << f3)
            case 0b00100:
                if f3 in (1, 5):
                    kind = _ALU.get((f3, f7))
                    return kind and _with_immediate(kind, rd, rs1, rs2)
                return _with_immediate(_ALU[f3, 0], rd, rs1, immediate & MASK)
            case 0b01100:
                table = _MULDIV if f7 == 1 and self.multiply else _ALU
                kind = table.get((f3, f7))
                return kind and _with_register(kind, rd, rs1, rs2)
            case 0b00011 if f3 < 2:  # fence, fence.i: all accesses are in order already
                return _next
            case 0b11100 if f3 == 0:
                return _PRIVILEGED.get(word >> 20)
            case 0b11100 if f3 != 4:
                return _csr(word >> 20, f3, rd, rs1)
        return None


def _signed(value: int) -> int:
    return value - (1 << 32) if value & SIGN else value


def _lanes(lane: int, size: int) -> int:
    """Byte lanes of an aligned access."""
    return (1 << size) - 1 << lane


def _next(core: Core) -> None:
    core.pc = core.pc + 4 & MASK


def _constant(rd: int, value: int) -> Operation:
    def operation(core: Core) -> None:
        core.registers[rd] = value
        core.pc = core.pc + 4 & MASK

    return operation


def _auipc(rd: int, value: int) -> Operation:
    def operation(core: Core) -> None:
        core.registers[rd] = core.pc + value & MASK
        core.pc = core.pc + 4 & MASK

    return operation


def _jal(rd: int, offset: int) -> Operation:
    def operation(core: Core) -> None:
        pc = core.pc
        core.jump(pc + offset & MASK)
        core.registers[rd] = pc + 4 & MASK

    return operation


def _jalr(rd: int, rs1: int, offset: int) -> Operation:
    def operation(core: Core) -> None:
        pc = core.pc
        core.jump(core.registers[rs1] + offset & 0xFFFF_FFFE)
        core.registers[rd] = pc + 4 & MASK

    return operation


def _branch(condition: Callable[[int, int], bool], rs1: int, rs2: int, offset: int) -> Operation:
    def operation(core: Core) -> None:
        if condition(core.registers[rs1], core.registers[rs2]):
            core.jump(core.pc + offset & MASK)
        else:
            core.pc = core.pc + 4 & MASK

    return operation


def _load(rd: int, rs1: int, offset: int, size: int, *, signed: bool) -> Operation:
    sign = 1 << 8 * size - 1 if signed else 0

    def operation(core: Core) -> None:
        value = core.load(core.registers[rs1] + offset & MASK, size)
        core.registers[rd] = (value ^ sign) - sign & MASK
        core.pc = core.pc + 4 & MASK

    return operation


def _store(rs1: int, rs2: int, offset: int, size: int) -> Operation:
    keep = (1 << 8 * size) - 1

    def operation(core: Core) -> None:
        registers = core.registers
        core.store(registers[rs1] + offset & MASK, size, registers[rs2] & keep)
        core.pc = core.pc + 4 & MASK

    return operation


def _with_immediate(kind: Callable[[int, int], int], rd: int, rs1: int, value: int) -> Operation:
    def operation(core: Core) -> None:
        registers = core.registers
        registers[rd] = kind(registers[rs1], value) & MASK
        core.pc = core.pc + 4 & MASK

    return operation


def _with_register(kind: Callable[[int, int], int], rd: int, rs1: int, rs2: int) -> Operation:
    def operation(core: Core) -> None:
        registers = core.registers
        registers[rd] = kind(registers[rs1], registers[rs2]) & MASK
        core.pc = core.pc + 4 & MASK

    return operation


def _csr(address: int, f3: int, rd: int, rs1: int) -> Operation:
    def operation(core: Core) -> None:
        old = core.read_csr(address)
        operand = rs1 if f3 & 4 else core.registers[rs1]
        match f3 & 3:
            case 1:
                core.write_csr(address, operand)
            case 2 if rs1:
                core.write_csr(address, old | operand)
            case 3 if rs1:
                core.write_csr(address, old & ~operand)
        core.registers[rd] = old
        core.pc = core.pc + 4 & MASK

    return operation


def _ecall(core: Core) -> None:
    raise Trap(_ECALL, 0)


def _ebreak(core: Core) -> None:
    raise Trap(_BREAKPOINT, core.pc)


_PRIVILEGED: dict[int, Operation] = {0: _ecall, 1: _ebreak, 0x302: Core.mret, 0x105: _next}
"""By bits 31:20: ecall, ebreak, mret, wfi."""

_CONDITIONS: dict[int, Callable[[int, int], bool]] = {
    0: lambda a, b: a == b,
    1: lambda a, b: a != b,
    4: lambda a, b: a ^ SIGN < b ^ SIGN,
    5: lambda a, b: a ^ SIGN >= b ^ SIGN,
    6: lambda a, b: a < b,
    7: lambda a, b: a >= b,
}

_ALU: dict[tuple[int, int], Callable[[int, int], int]] = {
    (0, 0): lambda a, b: a + b,
    (0, 0x20): lambda a, b: a - b,
    (1, 0): lambda a, b: a << (b & 31),
    (2, 0): lambda a, b: a ^ SIGN < b ^ SIGN,
    (3, 0): lambda a, b: a < b,
    (4, 0): lambda a, b: a ^ b,
    (5, 0): lambda a, b: a >> (b & 31),
    (5, 0x20): lambda a, b: _signed(a) >> (b & 31),
    (6, 0): lambda a, b: a | b,
    (7, 0): lambda a, b: a & b,
}
"""By funct3 and funct7."""


def _divide(a: int, b: int) -> int:
    """Quotient towards zero; -1 for a division by zero."""
    if b == 0:
        return -1
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _remainder(a: int, b: int) -> int:
    return a if b == 0 else a - b * _divide(a, b)


_MULDIV: dict[tuple[int, int], Callable[[int, int], int]] = {
    (0, 1): lambda a, b: a * b,
    (1, 1): lambda a, b: _signed(a) * _signed(b) >> 32,
    (2, 1): lambda a, b: _signed(a) * b >> 32,
    (3, 1): lambda a, b: a * b >> 32,
    (4, 1): lambda a, b: _divide(_signed(a), _signed(b)),
    (5, 1): _divide,
    (6, 1): lambda a, b: _remainder(_signed(a), _signed(b)),
    (7, 1): _remainder,
}
