# amaranth: UnusedElaboratable=no
"""The root alone, hearing flits that no leaf would send."""

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import REPLY_CYCLES, LaneOp, lane_command
from blindvisor.hdl.ionet.root import IoRoot
from blindvisor.hdl.ionet.tree import tree_depth
from blindvisor.sim import pysim


def config(clusters):
    return MachineConfig(name="test", width=clusters, height=1)


def command(dut, *, named=1, data=0):
    return lane_command(dut.config).const({"op": LaneOp.STATUS, "named": named, "data": data})


@pytest.mark.parametrize("clusters", [1, 2, 3, 4, 5, 16])
def test_slots_follow_each_other_and_lanes_alternate(clusters):
    dut = IoRoot(config(clusters))

    async def testbench(ctx):
        for cycle in range(6 * clusters):
            down = ctx.get(dut.down)
            assert (down.slot, down.lane) == (cycle // 2 % clusters, cycle % 2)
            assert ctx.get(dut.lane.command.ready) == cycle % 2
            await ctx.tick()

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize("clusters", [1, 2, 3, 4, 5, 16])
def test_the_time_of_a_flit_tells_who_sent_it_and_the_answer_goes_there_once(clusters):
    """Identity is the slot: the flit itself names nobody."""
    dut = IoRoot(config(clusters))
    depth = tree_depth(dut.config)
    frame = 2 * clusters

    async def testbench(ctx):
        cycle = 0
        named = 0
        answers = []

        async def step():
            nonlocal cycle, named
            named = ctx.get(dut.service.cluster)
            down = ctx.get(dut.down)
            if not down.lane and down.valid:
                answers.append((cycle, down.slot, down.payload & (2**32 - 1)))
            await ctx.tick()
            cycle += 1

        for sender in range(clusters):
            while cycle < depth or (cycle - depth) % frame != 2 * sender:
                await step()
            spoken = cycle  # the sender sees its slot now; its flit arrives ``depth`` later
            while cycle < spoken + depth:
                await step()
            ctx.set(dut.up, {"valid": 1, "payload": sender + 1})
            ctx.set(dut.service.answer, {"data": 0x100 + sender, "error": 0})
            assert ctx.get(dut.service.request.valid) == 1
            assert ctx.get(dut.service.request.payload.data) == sender + 1
            assert named == sender
            await step()
            ctx.set(dut.up, {"valid": 0, "payload": 0})
            ctx.set(dut.service.answer, {"data": 0, "error": 0})
            answers.clear()
            heard = cycle
            while cycle < heard + 3 * frame:
                await step()
            ((sent, slot, data),) = answers
            assert (slot, data) == (sender, 0x100 + sender)
            assert sent < heard + frame + 1

    pysim.simulate(dut, testbench)


def test_what_comes_in_a_second_cycle_is_never_a_request():
    """A reply of the monitor lane must not act as an access of whoever is heard next."""
    dut = IoRoot(config(4))

    async def testbench(ctx):
        ctx.set(dut.up, {"valid": 1, "payload": 2**41 - 1})
        for cycle in range(20):
            assert ctx.get(dut.service.request.valid) == (cycle % 2 == 0)
            await ctx.tick()

    pysim.simulate(dut, testbench)


def test_interrupts_are_asked_for_one_cycle_before_they_are_sent():
    dut = IoRoot(config(5))

    async def testbench(ctx):
        named = 0
        for cycle in range(30):
            ctx.set(dut.service.interrupts, (named + 1) if cycle % 2 else 0)
            down = ctx.get(dut.down)
            if cycle and not down.lane:
                assert down.payload >> 33 == down.slot + 1
            named = ctx.get(dut.service.cluster)
            await ctx.tick()

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize("clusters", [1, 5])
def test_a_missing_reply_is_refused_and_one_at_an_undue_time_ignored(clusters):
    """P8. Every cycle but the due one holds a flit; then only the due one is empty."""
    dut = IoRoot(config(clusters))
    due = 2 * tree_depth(dut.config) + REPLY_CYCLES

    async def testbench(ctx):
        for empty_when_due in (False, True):
            ctx.set(dut.lane.command.payload, command(dut, data=1))
            ctx.set(dut.lane.command.valid, 1)
            while not ctx.get(dut.lane.command.ready):
                await ctx.tick()
            for cycle in range(3 * due):
                good = cycle == due and not empty_when_due
                ctx.set(dut.up, {"valid": 1, "payload": 0xBAD | 1 << 32})
                if cycle == due:
                    ctx.set(dut.up, {"valid": good, "payload": 0x600D | 1 << 32})
                assert ctx.get(dut.lane.reply_valid) == (cycle == due)
                reply = ctx.get(dut.lane.reply)
                assert (reply.data, reply.ok) == ((0x600D, 1) if good else (0, 0))
                await ctx.tick()
                ctx.set(dut.lane.command.valid, 0)
            ctx.set(dut.up, {"valid": 0, "payload": 0})

    pysim.simulate(dut, testbench)


def test_a_broadcast_waits_for_no_reply():
    dut = IoRoot(config(4))

    async def testbench(ctx):
        ctx.set(dut.up, {"valid": 1, "payload": 1 << 32})
        ctx.set(dut.lane.command.payload, command(dut, named=0))
        ctx.set(dut.lane.command.valid, 1)
        for _ in range(20):
            assert ctx.get(dut.lane.reply_valid) == 0
            await ctx.tick()

    pysim.simulate(dut, testbench)


def test_an_idle_lane_sends_zeros():
    """What a user leaves on its payload without an offer does not reach the wires."""
    dut = IoRoot(config(4))

    async def testbench(ctx):
        ctx.set(dut.lane.command.payload, command(dut, data=0x5EC2E7))
        for _ in range(8):
            if ctx.get(dut.down.lane):
                assert (ctx.get(dut.down.valid), ctx.get(dut.down.payload)) == (0, 0)
            await ctx.tick()

    pysim.simulate(dut, testbench)
