# amaranth: UnusedElaboratable=no
"""No denial is lost, whatever happens in the same cycle."""

import random

from blindvisor.hdl.abi import Fault
from blindvisor.hdl.ionet.flits import FAULT_REPLY, LaneOp
from blindvisor.hdl.smmu.faults import FaultRecord
from blindvisor.sim import pysim

SOURCES = (Fault.OUTSIDE, Fault.FOREIGN, Fault.CHANNEL)


def test_every_event_is_counted_once_across_clears():
    rng = random.Random(0)
    dut = FaultRecord(sources=SOURCES)
    happened = 0
    read = 0
    first = Fault.NONE

    async def testbench(ctx):
        nonlocal happened, read, first
        expect = None
        for _ in range(500):
            events = rng.getrandbits(3) & rng.getrandbits(3)
            clear = rng.random() < 0.1
            ctx.set(dut.events, events)
            ctx.set(
                dut.command, {"valid": clear, "named": 1, "op": LaneOp.FAULT, "data": int(clear)}
            )
            if clear:
                expect = (happened, first)
                happened, first = 0, Fault.NONE
            happened += events.bit_count()
            if first is Fault.NONE and events:
                first = SOURCES[(events & -events).bit_length() - 1]
            await ctx.tick()
            assert ctx.get(dut.reply_valid) == clear
            if clear:
                reply = FAULT_REPLY.from_bits(ctx.get(dut.reply.data))
                assert (reply.count, Fault(reply.first)) == expect
                read += 1

    pysim.simulate(dut, testbench)
    assert read > 20


def test_the_count_stops_at_its_largest_value():
    dut = FaultRecord(sources=(Fault.OUTSIDE,) * 9)
    counts = []

    async def testbench(ctx):
        ctx.set(dut.events, 0x1FF)
        await ctx.tick().repeat(7281)
        for _ in range(2):
            ctx.set(dut.command, {"valid": 1, "named": 1, "op": LaneOp.FAULT, "data": 0})
            await ctx.tick()
            counts.append(FAULT_REPLY.from_bits(ctx.get(dut.reply.data)).count)

    pysim.simulate(dut, testbench, deadline=20_000)
    assert counts == [9 * 7281, 0xFFFF]
