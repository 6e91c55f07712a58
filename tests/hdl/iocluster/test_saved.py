# amaranth: UnusedElaboratable=no
"""The FIFO of a saved image's words."""

import random

from blindvisor.hdl.iocluster.saved import SAVED_DEPTH, SavedWords
from blindvisor.sim import pysim


def test_words_are_given_once_and_in_order():
    rng = random.Random(1)
    dut = SavedWords()
    sent, received = [rng.getrandbits(32) for _ in range(100)], []

    async def reader(ctx):
        ctx.set(dut.opened, 1)
        while len(received) < len(sent):
            ctx.set(dut.read, 0)
            if rng.random() < 0.3:
                await ctx.tick().repeat(rng.randint(1, 30))
            ctx.set(dut.read, 1)
            if ctx.get(dut.count):
                received.append(ctx.get(dut.data))
            else:
                assert ctx.get(dut.data) == 0
            await ctx.tick()

    pysim.simulate(dut, pysim.offer(dut.words, sent), reader)
    assert received == sent


def test_count_is_exact_and_what_is_left_is_dropped_when_closed():
    dut = SavedWords()

    async def testbench(ctx):
        ctx.set(dut.words.valid, 1)
        ctx.set(dut.words.payload, 7)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.words.ready)
        assert ctx.get(dut.count) == 0
        ctx.set(dut.opened, 1)
        for n in range(SAVED_DEPTH):
            assert ctx.get(dut.count) == n
            assert ctx.get(dut.words.ready)
            await ctx.tick()
        assert ctx.get(dut.count) == SAVED_DEPTH
        assert not ctx.get(dut.words.ready)
        ctx.set(dut.words.valid, 0)
        ctx.set(dut.opened, 0)
        assert ctx.get(dut.count) == 0
        assert ctx.get(dut.data) == 0
        await ctx.tick()
        ctx.set(dut.opened, 1)
        assert ctx.get(dut.count) == 0

    pysim.simulate(dut, testbench)
