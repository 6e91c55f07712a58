# SPDX-License-Identifier: Apache-2.0
"""The interpreter against the manual's words, instruction by instruction."""

import pytest

from blindvisor.sw.model.rv32 import AccessError, Core, Decoder

MINUS = 0xFFFF_FFFF
LOW = 0x8000_0000
MSTATUS, MISA, MIE, MTVEC = 0x300, 0x301, 0x304, 0x305
MSCRATCH, MEPC, MCAUSE, MTVAL, MIP = 0x340, 0x341, 0x342, 0x343, 0x344


class Bus:
    """256 bytes from 0 on; everything else is an error."""

    def __init__(self):
        self.memory = [0] * 64
        self.levels = 0

    def fetch(self, address):
        if address >= 256:
            raise AccessError
        return self.memory[address >> 2]

    def load(self, core, address, select):
        return self.fetch(address)

    def store(self, core, address, select, value):
        old = self.fetch(address).to_bytes(4, "little")
        new = value.to_bytes(4, "little")
        mixed = bytes(new[n] if select >> n & 1 else old[n] for n in range(4))
        self.memory[address >> 2] = int.from_bytes(mixed, "little")

    def interrupts(self, core):
        return self.levels


@pytest.fixture(params=[False, True], ids=["rv32i", "rv32im"])
def multiply(request):
    return request.param


def make(*words, multiply=False, **registers):
    bus = Bus()
    bus.memory[: len(words)] = words
    core = Core(number=0, bus=bus, decoder=Decoder(multiply=multiply), reset_address=0)
    core.csrs[MTVEC] = 0x80
    for name, value in registers.items():
        core.registers[int(name[1:])] = value
    return core


def bus_of(core):
    assert isinstance(core.bus, Bus)
    return core.bus


def op(f3, f7, *, opcode=0x33, rd=3, rs1=1, rs2=2):
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode


def imm(f3, value, *, opcode=0x13, rd=3, rs1=1):
    return (value & 0xFFF) << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode


def store(f3, offset):
    return (offset >> 5 & 127) << 25 | 2 << 20 | 1 << 15 | f3 << 12 | (offset & 31) << 7 | 0x23


def branch(f3, offset):
    return (
        (offset >> 12 & 1) << 31
        | (offset >> 5 & 63) << 25
        | 2 << 20
        | 1 << 15
        | f3 << 12
        | (offset >> 1 & 15) << 8
        | (offset >> 11 & 1) << 7
        | 0x63
    )


def jal(offset, rd=3):
    return (
        (offset >> 20 & 1) << 31
        | (offset >> 1 & 0x3FF) << 21
        | (offset >> 11 & 1) << 20
        | (offset >> 12 & 0xFF) << 12
        | rd << 7
        | 0x6F
    )


def csr(f3, address, *, rd=3, rs1=1):
    return address << 20 | rs1 << 15 | f3 << 12 | rd << 7 | 0x73


def trapped(core):
    """Cause, value and address of the trap that has just been taken."""
    assert core.pc == core.csrs[MTVEC] & ~3
    return core.csrs[MCAUSE], core.csrs[MTVAL], core.csrs[MEPC]


ALU = [
    (0, 0x00, 5, MINUS, 4),
    (0, 0x20, 5, 7, MINUS - 1),
    (1, 0x00, 3, 33, 6),
    (2, 0x00, MINUS, 0, 1),
    (2, 0x00, 0, LOW, 0),
    (3, 0x00, MINUS, 0, 0),
    (3, 0x00, 0, LOW, 1),
    (4, 0x00, 0b1100, 0b1010, 0b0110),
    (5, 0x00, LOW, 31, 1),
    (5, 0x20, LOW, 31, MINUS),
    (5, 0x20, LOW, 32, LOW),
    (6, 0x00, 0b1100, 0b1010, 0b1110),
    (7, 0x00, 0b1100, 0b1010, 0b1000),
]
MULDIV = [
    (0, MINUS, 2, MINUS - 1),
    (1, MINUS, MINUS, 0),
    (1, LOW, LOW, 0x4000_0000),
    (2, MINUS, MINUS, MINUS),
    (2, 1, MINUS, 0),
    (3, MINUS, MINUS, MINUS - 1),
    (4, MINUS - 6, 2, MINUS - 2),
    (4, 7, MINUS - 1, MINUS - 2),
    (4, 7, 0, MINUS),
    (4, LOW, MINUS, LOW),
    (5, MINUS, 2, 0x7FFF_FFFF),
    (5, 7, 0, MINUS),
    (6, MINUS - 6, 2, MINUS),
    (6, 7, MINUS - 1, 1),
    (6, 7, 0, 7),
    (6, LOW, MINUS, 0),
    (7, MINUS, 16, 15),
    (7, 7, 0, 7),
]


@pytest.mark.parametrize(("f3", "f7", "a", "b", "result"), ALU)
def test_register_operations(f3, f7, a, b, result):
    core = make(op(f3, f7), x1=a, x2=b)
    core.run(1)
    assert (core.registers[3], core.pc) == (result, 4)


@pytest.mark.parametrize(("f3", "a", "b", "result"), MULDIV)
def test_multiplication_and_division(f3, a, b, result, multiply):
    core = make(op(f3, 1), x1=a, x2=b, multiply=multiply)
    core.run(1)
    if multiply:
        assert (core.registers[3], core.pc) == (result, 4)
    else:
        assert trapped(core) == (2, op(f3, 1), 0)


@pytest.mark.parametrize(
    ("word", "a", "result"),
    [
        (imm(0, -1), 0, MINUS),
        (imm(2, -1), MINUS - 1, 1),
        (imm(3, -1), MINUS - 1, 1),
        (imm(4, -1), 5, MINUS - 5),
        (imm(6, 0x7F0), 0xF, 0x7FF),
        (imm(7, -16), 0xFF, 0xF0),
        (imm(1, 31), 1, LOW),
        (imm(5, 4), LOW, LOW >> 4),
        (imm(5, 0x404), LOW, 0xF800_0000),
        (0xABCDE000 | 3 << 7 | 0x37, 0, 0xABCD_E000),
        (0xFFFFF000 | 3 << 7 | 0x17, 0, 0xFFFF_F000),
    ],
)
def test_immediate_operations(word, a, result):
    core = make(word, x1=a)
    core.run(1)
    assert (core.registers[3], core.pc) == (result, 4)


def test_register_0_stays_0():
    core = make(imm(0, 5, rd=0), imm(0, 1, rs1=0))
    core.run(2)
    assert core.registers[3] == 1


@pytest.mark.parametrize(
    ("f3", "a", "b", "taken"),
    [
        *((0, 1, 1, True), (0, 1, 2, False), (1, 1, 1, False), (1, 1, 2, True)),
        *((4, MINUS, 0, True), (4, 0, MINUS, False), (5, MINUS, 0, False), (5, 3, 3, True)),
        *((6, MINUS, 0, False), (6, 0, MINUS, True), (7, MINUS, 0, True), (7, 0, MINUS, False)),
    ],
)
@pytest.mark.parametrize("offset", [-4096, -2, 8, 4094])
def test_branches(f3, a, b, taken, offset):
    core = make(branch(f3, offset), x1=a, x2=b)
    core.run(1)
    if not taken:
        assert core.pc == 4
    elif offset % 4:
        assert trapped(core) == (0, offset & MINUS, 0)
    else:
        assert core.pc == offset & MINUS


@pytest.mark.parametrize("offset", [-(1 << 20), -4, 0, 4, 2048, (1 << 20) - 4])
def test_jal(offset):
    core = make(jal(offset))
    core.run(1)
    assert (core.pc, core.registers[3]) == (offset & MINUS, 4)


def test_jalr_clears_bit_0_and_may_overwrite_its_base():
    core = make(imm(0, 5, opcode=0x67, rd=1), x1=0x1C)
    core.run(1)
    assert (core.pc, core.registers[1]) == (0x20, 4)


@pytest.mark.parametrize("word", [jal(6), imm(0, 2, opcode=0x67)])
def test_jump_to_half_an_instruction_traps_and_links_nothing(word):
    core = make(word, x3=77)
    core.run(1)
    assert trapped(core)[0] == 0
    assert core.registers[3] == 77


@pytest.mark.parametrize(
    ("f3", "offset", "result"),
    [
        *((0, 0, 0xFFFF_FF80), (0, 1, 0x7F), (4, 0, 0x80), (4, 3, 0xFF)),
        *((1, 0, 0x7F80), (1, 2, 0xFFFF_FF01), (5, 2, 0xFF01), (2, 0, 0xFF01_7F80)),
    ],
)
def test_loads(f3, offset, result):
    core = make(imm(f3, 0x40 + offset, opcode=0x03))
    bus_of(core).memory[16] = 0xFF01_7F80
    core.run(1)
    assert core.registers[3] == result


@pytest.mark.parametrize(
    ("f3", "offset", "result"),
    [
        *((0, 0, 0x1111_11DD), (0, 3, 0xDD11_1111)),
        *((1, 0, 0x1111_CCDD), (1, 2, 0xCCDD_1111), (2, 0, 0xAABB_CCDD)),
    ],
)
def test_stores(f3, offset, result):
    core = make(store(f3, 0x40 + offset), x2=0xAABB_CCDD)
    bus_of(core).memory[16] = 0x1111_1111
    core.run(1)
    assert bus_of(core).memory[16] == result


@pytest.mark.parametrize(
    ("word", "a", "trap"),
    [
        (imm(2, 0, opcode=0x03), 0x103, (4, 0x103)),
        (imm(1, 1, opcode=0x03), 0x40, (4, 0x41)),
        (imm(2, 0, opcode=0x03), 0x100, (5, 0x100)),
        (imm(0, 3, opcode=0x03), 0x100, (5, 0x100)),
        (store(2, 2), 0x40, (6, 0x42)),
        (store(1, 1), 0x40, (6, 0x41)),
        (store(2, -4), 0x104, (7, 0x100)),
        (store(0, 2), 0x100, (7, 0x100)),
        (csr(0, 0, rd=0, rs1=0), 0, (11, 0)),
        (csr(0, 1, rd=0, rs1=0), 0, (3, 4)),
        (0, 0, (2, 0)),
        (0xFFFF_FFFF, 0, (2, 0xFFFF_FFFF)),
        (imm(1, 0x400), 0, (2, imm(1, 0x400))),
        (imm(1, 0, opcode=0x67), 0, (2, imm(1, 0, opcode=0x67))),
        (csr(4, 0), 0, (2, csr(4, 0))),
        (imm(3, 0, opcode=0x03), 0, (2, imm(3, 0, opcode=0x03))),
        (store(3, 0), 0, (2, store(3, 0))),
        (branch(2, 8), 0, (2, branch(2, 8))),
        (imm(2, 0, opcode=0x0F), 0, (2, imm(2, 0, opcode=0x0F))),
        (op(0, 2), 0, (2, op(0, 2))),
    ],
)
def test_exceptions_are_precise(word, a, trap):
    core = make(imm(0, 0, rd=0), word, x1=a, x3=77)
    core.csrs[MSTATUS] |= 8
    core.run(2)
    assert trapped(core) == (*trap, 4)
    assert core.registers[3] == 77
    assert core.csrs[MSTATUS] == 0x1880


def test_fetch_from_nowhere_traps():
    core = make(jal(0x100))
    core.run(2)
    assert trapped(core) == (1, 0x100, 0x100)


@pytest.mark.parametrize("word", [0x0FF0_000F, 0x0000_100F, csr(0, 0x105, rd=0, rs1=0)])
def test_fences_and_wfi_do_nothing(word):
    core = make(word)
    core.run(1)
    assert core.pc == 4


@pytest.mark.parametrize(
    ("word", "read", "left"),
    [
        (csr(1, MSCRATCH), 0xF0, 0x3C),
        (csr(2, MSCRATCH), 0xF0, 0xFC),
        (csr(3, MSCRATCH), 0xF0, 0xC0),
        (csr(5, MSCRATCH, rs1=7), 0xF0, 7),
        (csr(6, MSCRATCH, rs1=7), 0xF0, 0xF7),
        (csr(7, MSCRATCH, rs1=16), 0xF0, 0xE0),
        (csr(2, MSCRATCH, rs1=0), 0xF0, 0xF0),
    ],
)
def test_control_register_instructions(word, read, left):
    core = make(word, x1=0x3C)
    core.csrs[MSCRATCH] = 0xF0
    core.run(1)
    assert (core.registers[3], core.csrs[MSCRATCH]) == (read, left)


@pytest.mark.parametrize(
    ("address", "left"),
    [
        *((MSTATUS, 0x1888), (MIE, 0xFFFF_0888), (MTVEC, MINUS), (MEPC, 0xFFFF_FFFC)),
        *((MCAUSE, 0), (MTVAL, MINUS), (MIP, 0), (0xF14, 0), (0x7C0, 0)),
    ],
)
def test_writable_bits_of_control_registers(address, left):
    core = make(csr(1, address), csr(2, address, rs1=0), x1=MINUS)
    core.run(2)
    assert core.registers[3] == left


def test_misa_tells_the_extensions(multiply):
    core = make(csr(1, MISA), csr(2, MISA, rs1=0), x1=0, multiply=multiply)
    core.run(2)
    assert core.registers[3] == 0x4000_0100 | multiply << 12


@pytest.mark.parametrize(
    ("levels", "enabled", "cause"),
    [
        (0x888, 0x888, 0x8000_0003),
        (0x880, 0x888, 0x8000_0007),
        (0x800, 0x888, 0x8000_000B),
        (0x888, 0x800, 0x8000_000B),
        (0x888, 0, None),
        (0, 0x888, None),
    ],
)
@pytest.mark.parametrize("allowed", [False, True])
def test_interrupts(levels, enabled, cause, allowed):
    core = make(imm(0, 0, rd=0))
    core.csrs[MIE] = enabled
    core.csrs[MSTATUS] |= 8 * allowed
    bus_of(core).levels = levels
    bus_of(core).memory[0x80 >> 2] = csr(2, MIP, rs1=0)
    core.run(1)
    if cause is None or not allowed:
        assert core.pc == 4
        return
    assert core.pc == 0x84
    assert (core.csrs[MCAUSE], core.csrs[MTVAL], core.csrs[MEPC]) == (cause, 0, 0)
    assert core.csrs[MSTATUS] == 0x1880
    assert core.registers[3] == levels


@pytest.mark.parametrize("before", [0, 0x80])
def test_mret_restores_and_keeps_the_old_enable(before):
    core = make(csr(0, 0x302, rd=0, rs1=0))
    core.csrs[MSTATUS], core.csrs[MEPC] = 0x1800 | before, 0x40
    core.run(1)
    assert core.pc == 0x40
    assert core.csrs[MSTATUS] == 0x1800 | before | before >> 4


def test_reset_forgets_everything():
    core = make(imm(0, 5), csr(1, MSCRATCH), x1=9)
    core.run(2)
    core.reset()
    assert not any(core.registers)
    assert core.pc == 0
    assert core.csrs == make().csrs | {MTVEC: 0}
