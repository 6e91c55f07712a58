# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of a tile whose core ignores bus errors: what it gets instead, and what is left."""

from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from blindvisor.hdl.abi import REGISTER_OFFSET, WINDOW_OFFSET, Fault, GuestRegister
from blindvisor.hdl.ionet.flits import FAULT_REPLY, LaneOp
from blindvisor.verification.benches import tile
from blindvisor.verification.benches.tile import (
    DATA,
    DEADLINE,
    MCAUSE,
    MEPC,
    MTVAL,
    MTVEC,
    OWN,
    destroy,
    free,
    launch,
    outputs,
    start,
)
from blindvisor.verification.rv32 import addi, beq, csrr, csrw, jump, li, lw, mret, sw

CONFIG = replace(tile.CONFIG, core="vexriscv")
MSTATUS, MIE, LINES = 0x300, 0x304, 0xFC0
EXTERNAL = 0x8000_000B
ILLEGAL, ECALL = 2, 0x0000_0073
SECRET = 0x5EC2_E700


def probe(addresses: list[int]) -> list[int]:
    """Program: load from each address; report what came, and then what the interrupt said."""
    body = [*li(3, DATA), *li(4, OWN), *li(2, OWN | REGISTER_OFFSET)]
    handler_at = len(body) + 9 + 7 * len(addresses)
    body += [addi(5, 4, 4 * handler_at), csrw(MTVEC, 5)]
    body += [*li(5, 1 << 11), csrw(MIE, 5), addi(5, 0, 8), csrw(MSTATUS, 5), addi(6, 0, 0)]
    for address in addresses:
        # x6 becomes 1 in the handler, which reports behind the loaded word.
        body += [*li(5, address), addi(7, 0, 1), lw(7, 5), beq(6, 0, 0), addi(6, 0, 0), sw(7, 3)]
    body += [jump(0)]
    handler = [
        *(word for csr in (MCAUSE, LINES) for word in (csrr(8, csr), sw(8, 3))),
        lw(8, 2, GuestRegister.FAULT_ADDRESS.value),
        sw(8, 3),
        sw(0, 2, GuestRegister.FAULT_ADDRESS.value),
        addi(6, 0, 1),
        mret(),
    ]
    assert len(body) == handler_at
    return body + handler


@cocotb.test(**DEADLINE)
async def a_refused_load_gives_zero_and_an_interrupt(dut: Any) -> None:
    """P1, P8: no data comes; the interrupt is external, its line is the fault's, it ends."""

    def serve(request: dict[str, int]) -> tuple[bool, int]:
        return request["channel"] != 1, 0xDA7A

    leaf = await start(dut, serve)
    await free(leaf)
    denied = [0x0100_0000, 0xF000_0000, OWN | WINDOW_OFFSET | 0x1_0000]  # by the SMMU
    await launch(leaf, probe([*denied, OWN | 0x40_0000]))
    words = await outputs(leaf, 4 * (len(denied) + 1))
    told = [part for address in denied for part in (EXTERNAL, 0b10, address, 0)]
    assert words == [*told, EXTERNAL, 0b10, 0, 0], "nothing is behind 0x40_0000: not a denial"
    await ClockCycles(dut.clk, 2000)
    assert len(leaf.requests) == len(words), "one interrupt for each"
    ok, record = await leaf.call(LaneOp.FAULT, 0)
    assert ok
    assert FAULT_REPLY.from_bits(record).count == len(denied)
    assert FAULT_REPLY.from_bits(record).first == Fault.OUTSIDE.value


@cocotb.test(**DEADLINE)
async def a_refused_store_is_lost_and_raises_the_interrupt(dut: Any) -> None:
    """P1: a store outside of the VM is reported likewise."""
    leaf = await start(dut)
    await free(leaf)
    program = [word if word != lw(7, 5) else sw(7, 5) for word in probe([0x0100_0000])]
    await launch(leaf, program)
    assert await outputs(leaf, 4) == [EXTERNAL, 0b10, 0x0100_0000, 1]


@cocotb.test(**DEADLINE)
async def a_refused_fetch_is_an_illegal_instruction(dut: Any) -> None:
    """P1: code is fetched from own memory alone; zero is no instruction."""
    leaf = await start(dut)
    await free(leaf)
    program = [*li(3, DATA), *li(4, OWN + 4 * 9), csrw(MTVEC, 4), *li(5, 0x0100_0000)]
    program += [0x00028067, jump(0)]  # jalr x0, 0(x5)
    program += [
        *(word for csr in (MCAUSE, MEPC) for word in (csrr(8, csr), sw(8, 3))),
        jump(0),
    ]
    await launch(leaf, program)
    assert await outputs(leaf, 2) == [ILLEGAL, 0x0100_0000]


@cocotb.test(**DEADLINE)
async def a_fault_that_nobody_took_does_not_reach_the_next_vm(dut: Any) -> None:
    """P5: the pending interrupt is forgotten with its VM."""
    leaf = await start(dut)
    await free(leaf)
    told = [csrr(7, LINES), sw(7, 3), jump(0)]
    await launch(leaf, [*li(3, DATA), *li(5, 0x0100_0000), lw(6, 5), *told])
    assert await outputs(leaf, 1) == [0b10]
    await destroy(leaf)
    leaf.requests.clear()
    await launch(leaf, [*li(3, DATA), *told], owner=3)
    assert await outputs(leaf, 1) == [0]


KEPT = (
    "CsrPlugin_mtvec_base",
    "CsrPlugin_mtvec_mode",
    "CsrPlugin_mepc",
    "CsrPlugin_mtval",
    "CsrPlugin_mcause_exceptionCode",
    "CsrPlugin_mcause_interrupt",
    "CsrPlugin_exceptionPortCtrl_exceptionContext_badAddr",
    "HazardSimplePlugin_writeBackBuffer_payload_data",
    "decode_to_execute_RS1",
    "decode_to_execute_RS2",
    "execute_to_memory_REGFILE_WRITE_DATA",
    "memory_to_writeBack_REGFILE_WRITE_DATA",
    "memory_to_writeBack_MEMORY_READ_DATA",
    "dBus_cmd_rData_data",
    "dBus_cmd_rData_address",
    "decode_RegFilePlugin_rs1Data",
    "decode_RegFilePlugin_rs2Data",
)
"""Registers of the core that can hold data of a VM; the last two are block RAM's own."""


@cocotb.test(**DEADLINE)
async def nothing_is_left_in_the_core_itself(dut: Any) -> None:
    """P5: control registers, pipeline and general registers are zero behind a scrub."""
    core = dut.core0.vexriscv
    leaf = await start(dut)
    await free(leaf)
    general = [word for register in range(5, 32) for word in li(register, SECRET + register)]
    program = [
        *general,
        *li(3, DATA),
        *li(4, SECRET),
        *(csrw(csr, 4) for csr in (MTVEC, MEPC)),
        sw(4, 3),
        lw(6, 3),
        ECALL,  # its handler is nowhere: an endless row of traps
    ]
    await launch(leaf, program)
    await outputs(leaf, 1)
    await ClockCycles(dut.clk, 500)
    held = {name: int(getattr(core, name).value) for name in KEPT}
    assert held["CsrPlugin_mtvec_base"] == SECRET >> 2
    assert held["CsrPlugin_mepc"] == SECRET
    assert int(core.RegFilePlugin_regFile[30].value) == SECRET + 30
    await destroy(leaf)
    left = {name: value for name in KEPT if (value := int(getattr(core, name).value))}
    assert not left
    assert [int(core.RegFilePlugin_regFile[n].value) for n in range(32)] == [0] * 32
    await launch(leaf, [*li(3, DATA), csrr(4, MEPC), sw(4, 3), csrr(4, MTVAL), sw(4, 3), jump(0)])
    assert (await outputs(leaf, 3))[1:] == [0, 0]
