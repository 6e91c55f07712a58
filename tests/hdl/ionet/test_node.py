# amaranth: UnusedElaboratable=no
"""The leaf alone, hearing flits that no root would send."""

import random

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp, io_answer, lane_command
from blindvisor.hdl.ionet.node import IoNode
from blindvisor.sim import pysim

CONFIG = MachineConfig(name="test", width=5, height=1)
INDEX = 3
QUIET = {"lane": 1, "valid": 0, "slot": INDEX, "payload": 0}
REQUEST = {"channel": 2, "register": 4, "write": 1, "data": 0xCAFE}


def answer(slot, *, valid=1, data=0, error=0, interrupts=0):
    payload = io_answer(CONFIG).const({"data": data, "error": error, "interrupts": interrupts})
    return {"slot": slot, "lane": 0, "valid": valid, "payload": payload.as_value().value}


def command(cluster, *, valid=1, named=1, op=LaneOp.STATUS, data=0):
    payload = lane_command(CONFIG).const(
        {"data": data, "op": op, "named": named, "cluster": cluster}
    )
    return {"slot": 0, "lane": 1, "valid": valid, "payload": payload.as_value().value}


def simulate(testbench):
    dut = IoNode(CONFIG)

    async def prepared(ctx):
        ctx.set(dut.index, INDEX)
        ctx.set(dut.down, QUIET)
        await testbench(ctx, dut)

    pysim.simulate(dut, prepared)


async def hear(ctx, dut, flit):
    ctx.set(dut.down, flit)
    await ctx.tick()
    ctx.set(dut.down, QUIET)


async def take_request(ctx, dut):
    ctx.set(dut.request.payload, REQUEST)
    ctx.set(dut.request.valid, 1)
    assert ctx.get(dut.request.ready) == 1
    await ctx.tick()
    ctx.set(dut.request.valid, 0)
    assert ctx.get(dut.request.ready) == 0
    assert ctx.get(dut.busy) == 1


def test_what_is_for_others_reaches_no_output():
    """P12: two leaves, one of which hears other clusters' flits, look the same in every cycle."""
    rng = random.Random(7)
    others = [k for k in range(8) if k != INDEX]
    own_request = [rng.random() < 0.2 for _ in range(600)]
    own_answer = [rng.random() < 0.1 for _ in range(600)]
    traces = []

    def disturbance():
        data = rng.getrandbits(32)
        if rng.random() < 0.5:
            return answer(rng.choice(others), data=data, interrupts=rng.getrandbits(6))
        return command(rng.choice(others), data=data, op=rng.choice(list(LaneOp)))

    for disturbed in (False, True):

        async def testbench(ctx, dut, disturbed=disturbed):
            trace = []
            ctx.set(dut.request.payload, REQUEST)
            for asks, told in zip(own_request, own_answer, strict=True):
                ctx.set(dut.request.valid, asks)
                ctx.set(dut.reply, {"data": rng.getrandbits(32), "ok": 1})
                if told:
                    ctx.set(dut.down, answer(INDEX, data=0x11, interrupts=0b101))
                else:
                    ctx.set(dut.down, disturbance() if disturbed else QUIET)
                outputs = (dut.up, dut.answer, dut.command)
                trace.append(
                    [ctx.get(output.as_value()) for output in outputs]
                    + [ctx.get(dut.busy), ctx.get(dut.interrupts), ctx.get(dut.request.ready)]
                )
                await ctx.tick()
            traces.append(trace)

        simulate(testbench)
    assert traces[0] == traces[1]
    assert any(row[1] for row in traces[0]), "no answer arrived: the comparison says nothing"


def test_a_request_waits_for_the_own_slot_and_is_sent_once():
    async def testbench(ctx, dut):
        await take_request(ctx, dut)
        for flit in (answer(2, valid=0), command(INDEX, valid=0), QUIET):
            ctx.set(dut.down, flit)
            assert ctx.get(dut.up.valid) == 0
            await ctx.tick()
        ctx.set(dut.down, answer(INDEX, valid=0))
        sent = ctx.get(dut.up)
        assert sent.valid == 1
        assert sent.payload == REQUEST["data"] | 2 << 32 | 4 << 36 | 1 << 40
        await ctx.tick()
        for _ in range(3):
            await hear(ctx, dut, answer(INDEX, valid=0))
            assert ctx.get(dut.up.as_value()) == 0
            assert ctx.get(dut.busy) == 1

    simulate(testbench)


def test_an_answer_is_shown_only_after_the_request_was_sent_and_only_once():
    """P8: one before the request, one while it waits, one while it leaves, one too many."""

    async def testbench(ctx, dut):
        ctx.set(dut.down, answer(INDEX, data=1))
        assert ctx.get(dut.answer.as_value()) == 0
        await ctx.tick()
        ctx.set(dut.down, QUIET)
        await take_request(ctx, dut)
        ctx.set(dut.down, answer(INDEX, data=2))  # the request leaves in this cycle
        assert ctx.get(dut.up.valid) == 1
        assert ctx.get(dut.answer.as_value()) == 0
        await ctx.tick()
        ctx.set(dut.down, answer(INDEX, data=3, error=1))
        told = ctx.get(dut.answer)
        assert (told.valid, told.data, told.error) == (1, 3, 1)
        await ctx.tick()
        assert ctx.get(dut.busy) == 0
        assert ctx.get(dut.answer.as_value()) == 0

    simulate(testbench)


def test_interrupts_are_those_of_the_last_own_slot():
    async def testbench(ctx, dut):
        for slot, levels, expected in ((INDEX, 5, 5), (2, 7, 5), (INDEX, 2, 2), (INDEX, 0, 0)):
            await hear(ctx, dut, answer(slot, valid=0, interrupts=levels))
            assert ctx.get(dut.interrupts) == expected
        await hear(ctx, dut, answer(INDEX, interrupts=9))
        await hear(ctx, dut, command(INDEX, data=~0))
        assert ctx.get(dut.interrupts) == 9

    simulate(testbench)


def test_a_named_command_is_shown_and_its_reply_leaves_two_cycles_later():
    async def testbench(ctx, dut):
        ctx.set(dut.down, command(INDEX, op=LaneOp.WRITE, data=0x1234))
        shown = ctx.get(dut.command)
        assert (shown.valid, shown.named, shown.data) == (1, 1, 0x1234)
        assert shown.op == LaneOp.WRITE
        assert ctx.get(dut.up.valid) == 0
        ctx.set(dut.reply, {"data": 1, "ok": 1})  # too early
        await ctx.tick()
        ctx.set(dut.down, QUIET)
        ctx.set(dut.reply, {"data": 2, "ok": 1})
        assert ctx.get(dut.up.valid) == 0
        await ctx.tick()
        ctx.set(dut.reply, {"data": 3, "ok": 1})  # too late
        assert ctx.get(dut.up.valid) == 1
        assert ctx.get(dut.up.payload) == 2 | 1 << 32
        await ctx.tick()
        assert ctx.get(dut.up.as_value()) == 0

    simulate(testbench)


def test_a_broadcast_is_shown_and_gets_no_reply():
    async def testbench(ctx, dut):
        ctx.set(dut.reply, {"data": 1, "ok": 1})
        ctx.set(dut.down, command(0, named=0, op=LaneOp.STOP, data=5))
        shown = ctx.get(dut.command)
        assert (shown.valid, shown.named, shown.data) == (1, 0, 5)
        for _ in range(4):
            assert ctx.get(dut.up.as_value()) == 0
            await hear(ctx, dut, QUIET)

    simulate(testbench)
