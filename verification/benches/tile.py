# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of a single tile: the life of a cluster, from the monitor lane."""

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from blindvisor.hdl.abi import (
    REGISTER_OFFSET,
    WINDOW_OFFSET,
    ChannelRegister,
    ClusterState,
    Fault,
    GuestRegister,
)
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import CLAIM, FAULT_REPLY, GRANT, STATUS_REPLY, LaneOp
from blindvisor.sim.bfm.leaf import LeafDriver
from blindvisor.verification.rv32 import addi, beq, csrr, csrw, jump, li, lw, mret, sw

CONFIG = MachineConfig(name="bench", width=1, height=1, memory_bytes=1024, vms=3)
OWN = 0xFF << 24
DATA = OWN | WINDOW_OFFSET | ChannelRegister.DATA.value
MTVEC, MEPC, MCAUSE, MTVAL = 0x305, 0x341, 0x342, 0x343
DEADLINE = {"timeout_time": 2, "timeout_unit": "ms"}


async def start(dut: Any, serve: Any = lambda request: (False, 0)) -> LeafDriver:
    """Power on; edges are not driven, as on a machine of one tile."""
    for network in ("request", "response"):
        for side in ("north", "east", "south", "west"):
            getattr(dut, f"{network}_{side}_in__valid").value = 0
            getattr(dut, f"{network}_{side}_in__payload").value = 0
            getattr(dut, f"{network}_{side}_out__ready").value = 1
    dut.position.value = 0
    dut.index.value = 0
    dut.down.value = 0
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    return LeafDriver(dut, CONFIG, serve)


async def status(leaf: LeafDriver) -> Any:
    """Decoded STATUS reply."""
    ok, word = await leaf.call(LaneOp.STATUS)
    assert ok
    return STATUS_REPLY.from_bits(word)


async def until(leaf: LeafDriver, flag: str, *, tries: int = 400) -> None:
    """Poll a flag of the status, as the monitor does."""
    for _ in range(tries):
        if getattr(await status(leaf), flag):
            return
    raise AssertionError(f"the cluster did not become {flag} within {tries} polls")


async def free(leaf: LeafDriver) -> None:
    """From power-on to FREE."""
    await until(leaf, "clean")
    assert (await leaf.call(LaneOp.FREE))[0]


async def launch(leaf: LeafDriver, program: list[int], *, owner: int = 2) -> None:
    """Claim, load, grant channel 1 as guest channel 0, start."""
    claim = CLAIM.const({"owner": owner}).as_bits()
    assert (await leaf.call(LaneOp.CLAIM, claim))[0]
    await leaf.write(program)
    grant = GRANT.const({"guest": 0, "channel": 1, "valid": 1}).as_bits()
    assert (await leaf.call(LaneOp.CHANNEL, grant))[0]
    await leaf.broadcast(LaneOp.LAUNCH, owner)


async def destroy(leaf: LeafDriver, *, owner: int = 2) -> None:
    """Stop, drain, scrub, free."""
    await leaf.broadcast(LaneOp.STOP, owner)
    await until(leaf, "drained")
    assert (await leaf.call(LaneOp.SCRUB))[0]
    await until(leaf, "clean")
    assert (await leaf.call(LaneOp.FREE))[0]


async def outputs(leaf: LeafDriver, count: int, *, cycles: int = 20_000) -> list[int]:
    """Wait for words written to channel 1."""
    for _ in range(cycles):
        words = [r["data"] for r in leaf.requests if r["write"] and r["channel"] == 1]
        if len(words) >= count:
            return words
        await RisingEdge(leaf._dut.clk)
    raise AssertionError(f"{count} words were expected, {leaf.requests} came")


# Writes all general registers, then the rest of the memory, to the channel; then spins.
REGISTERS_TO_CHANNEL = [
    *li(31, DATA)[:1],  # x31 is needed for the address; all others are as the start left them
    addi(31, 31, DATA & 0xFFF),
    *(sw(register, 31) for register in range(1, 31)),
]


def dump(start_word: int, words: int) -> list[int]:
    """Program: 30 registers, then memory words from ``start_word``, to the channel; spin."""
    return [
        *REGISTERS_TO_CHANNEL,
        *li(1, OWN + 4 * start_word),
        *li(2, OWN + 4 * (start_word + words)),
        lw(3, 1),
        sw(3, 31),
        addi(1, 1, 4),
        beq(1, 2, 8),
        jump(-16),
        jump(0),
    ]


SECRET = 0x5EC2E700
# Fills registers and memory with secrets, tells the channel, spins.
FILL = [
    *(word for register in range(5, 31) for word in li(register, SECRET + register)),
    *li(1, OWN + 512),
    *li(2, OWN + 1024),
    sw(30, 1),
    addi(1, 1, 4),
    beq(1, 2, 8),
    jump(-12),
    *li(3, DATA),
    sw(30, 3),
    jump(0),
]


@cocotb.test(**DEADLINE)
async def power_on_scrubs_before_anything_else(dut: Any) -> None:
    """P5, P8: the memory holds noise, and no command reaches it or frees the cluster first."""
    leaf = await start(dut)
    first = await status(leaf)
    assert ClusterState(first.state) is ClusterState.SCRUBBING
    assert not first.clean
    for op in (LaneOp.FREE, LaneOp.CLAIM, LaneOp.WRITE, LaneOp.READ, LaneOp.ADDRESS):
        assert (await leaf.call(op, CLAIM.const({"owner": 1}).as_bits()))[0] == 0, op
    await free(leaf)
    assert ClusterState((await status(leaf)).state) is ClusterState.FREE
    await launch(leaf, dump(64, 192))
    assert await outputs(leaf, 30 + 192) == [0] * (30 + 192)


@cocotb.test(**DEADLINE)
async def nothing_survives_a_change_of_the_owner(dut: Any) -> None:
    """P5: registers and memory of one VM are zero for the next."""
    leaf = await start(dut)
    await free(leaf)
    await launch(leaf, FILL)
    assert await outputs(leaf, 1) == [SECRET + 30]
    await destroy(leaf)
    leaf.requests.clear()
    await launch(leaf, dump(64, 192), owner=3)
    assert await outputs(leaf, 30 + 192) == [0] * (30 + 192)


@cocotb.test(**DEADLINE)
async def only_the_right_state_accepts_a_command(dut: Any) -> None:
    """P1, P2, P3: what the monitor lane may do depends on the state."""
    leaf = await start(dut)
    await free(leaf)
    claim = CLAIM.const({"owner": 2}).as_bits()

    async def refused(*ops: LaneOp) -> None:
        before = (await status(leaf)).as_bits()
        for op in ops:
            assert (await leaf.call(op, claim))[0] == 0, op
        assert (await status(leaf)).as_bits() == before

    await refused(LaneOp.WRITE, LaneOp.READ, LaneOp.SCRUB, LaneOp.FREE, LaneOp.CHANNEL)
    assert (await leaf.call(LaneOp.CLAIM, 0))[0] == 0, "owner 0 is nobody"
    assert (await leaf.call(LaneOp.CLAIM, claim))[0]
    await refused(LaneOp.CLAIM, LaneOp.READ, LaneOp.SCRUB, LaneOp.FREE)
    assert (await leaf.call(LaneOp.ADDRESS, 256))[0] == 0, "beyond the memory"
    assert (await leaf.call(LaneOp.WRITE, 0))[0] == 0, "beyond the memory"
    await leaf.write([jump(0)])
    for op in (LaneOp.FREEZE, LaneOp.RESUME):
        await leaf.broadcast(op, 2)
    for op in (LaneOp.LAUNCH, LaneOp.STOP):
        await leaf.broadcast(op, 3)  # another VM
        await leaf.broadcast(op, 0)  # nobody
    assert ClusterState((await status(leaf)).state) is ClusterState.LOADING
    await leaf.broadcast(LaneOp.LAUNCH, 2)
    assert ClusterState((await status(leaf)).state) is ClusterState.RUNNING
    await refused(LaneOp.CLAIM, LaneOp.WRITE, LaneOp.READ, LaneOp.SCRUB, LaneOp.FREE)
    await leaf.broadcast(LaneOp.FREEZE, 2)
    await refused(LaneOp.CLAIM, LaneOp.WRITE, LaneOp.SCRUB, LaneOp.FREE)
    assert await leaf.read(1) == [jump(0)]
    await leaf.broadcast(LaneOp.STOP, 2)
    await until(leaf, "drained")
    await refused(LaneOp.CLAIM, LaneOp.WRITE, LaneOp.READ, LaneOp.FREE)
    for op in (LaneOp.LAUNCH, LaneOp.RESUME, LaneOp.FREEZE):
        await leaf.broadcast(op, 2)
    assert ClusterState((await status(leaf)).state) is ClusterState.SCRUBBING


@cocotb.test(**DEADLINE)
async def a_frozen_core_stands_still_and_goes_on(dut: Any) -> None:
    """Freezing loses nothing and time does not pass meanwhile."""
    leaf = await start(dut)
    await free(leaf)
    count = [
        *li(3, DATA),
        addi(1, 1, 1),
        sw(1, 3),
        jump(-8),
    ]
    await launch(leaf, count)
    await outputs(leaf, 5)
    await leaf.broadcast(LaneOp.FREEZE, 2)
    await ClockCycles(dut.clk, 50)  # what had started ends
    held = len(leaf.requests)
    await ClockCycles(dut.clk, 500)
    assert len(leaf.requests) == held
    await leaf.broadcast(LaneOp.RESUME, 2)
    words = await outputs(leaf, held + 5)
    assert words == list(range(1, len(words) + 1))


def probe(addresses: list[int]) -> list[int]:
    """Program: load each address; report mcause << 28 | its low bits by the trap handler, or 0."""
    body = [
        *li(3, DATA),
        *li(4, OWN),
    ]
    handler_at = len(body) + 3 + 4 * len(addresses) + 1
    body += [addi(4, 4, 4 * handler_at), csrw(MTVEC, 4), addi(0, 0, 0)]
    for address in addresses:
        body += [*li(5, address), lw(6, 5), sw(0, 3)]
    body += [jump(0)]
    # The handler reports cause and address, then skips the store of 0 behind the load.
    handler = [
        csrr(7, MCAUSE),
        sw(7, 3),
        csrr(8, MTVAL),
        sw(8, 3),
        csrr(9, MEPC),
        addi(9, 9, 8),
        csrw(MEPC, 9),
        mret(),
    ]
    assert len(body) == handler_at
    return body + handler


@cocotb.test(**DEADLINE)
async def denied_and_misplaced_accesses_trap(dut: Any) -> None:
    """P1, P8, P9: every access that leads nowhere is a load access fault at its own address."""

    def serve(request: dict[str, int]) -> tuple[bool, int]:
        return request["channel"] != 1, 0

    leaf = await start(dut, serve)
    await free(leaf)
    nowhere = [
        0x0100_0000,  # guest cluster (0, 1): outside a 1 x 1 VM
        0xF000_0000,
        OWN | CONFIG.memory_bytes,
        OWN | 0x40_0000,
        OWN | REGISTER_OFFSET | 0x7FC,
        OWN | REGISTER_OFFSET | 0x1000,
        OWN | WINDOW_OFFSET | 0x1_0000,  # guest channel 1: not granted
        OWN | WINDOW_OFFSET | 0x10_0000,  # beyond all guest channels
        OWN | WINDOW_OFFSET | 0x10,  # beyond the channel's registers
    ]
    denied_by_smmu = 4
    await launch(leaf, probe(nowhere))
    words = await outputs(leaf, 2 * len(nowhere))
    assert words == [part for address in nowhere for part in (5, address)]
    ok, record = await leaf.call(LaneOp.FAULT, 0)
    assert ok
    assert FAULT_REPLY.from_bits(record).count == denied_by_smmu
    assert FAULT_REPLY.from_bits(record).first == Fault.OUTSIDE.value
    assert (await leaf.call(LaneOp.FAULT, 1))[1] == record, "cleared after reading"
    assert (await leaf.call(LaneOp.FAULT, 0))[1] == 0


@cocotb.test(**DEADLINE)
async def guest_sees_its_own_registers(dut: Any) -> None:
    """Identity registers hold guest coordinates; channel interrupts arrive by guest number."""
    leaf = await start(dut)
    await free(leaf)
    registers = OWN | REGISTER_OFFSET
    shown = [
        GuestRegister.COORDINATES,
        GuestRegister.SIZE,
        GuestRegister.CORE,
        GuestRegister.MEMORY,
        GuestRegister.FAULTS,
    ]
    program = [
        *li(3, DATA),
        *li(4, registers),
        *(word for register in shown for word in (lw(5, 4, register.value), sw(5, 3))),
        *li(6, registers | 0x200),
        lw(5, 6, 0x10),  # PENDING
        beq(5, 0, -4),
        sw(5, 3),
        jump(0),
    ]
    await launch(leaf, program)
    words = await outputs(leaf, len(shown))
    assert words == [0, 0x0101, CONFIG.cores << 8, CONFIG.memory_bytes, 0]
    leaf.interrupts = 0b0010  # physical channel 1 is guest channel 0
    assert (await outputs(leaf, len(shown) + 1))[-1] == 0b0001
