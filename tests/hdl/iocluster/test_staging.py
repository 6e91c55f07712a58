# amaranth: UnusedElaboratable=no
"""The staging FIFO: a bounded number of words, each once."""

import random
from itertools import pairwise

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.staging import Staging
from blindvisor.sim import pysim


def staging(words=4):
    return Staging(MachineConfig(name="test", width=1, height=1, staging_words=words))


async def write_all(ctx, dut, words, pause=lambda: 0):
    for word in words:
        for _ in range(pause()):
            await ctx.tick()
        while not ctx.get(dut.space):
            await ctx.tick()
        ctx.set(dut.write, 1)
        ctx.set(dut.data, word)
        await ctx.tick()
        ctx.set(dut.write, 0)


@pytest.mark.parametrize("longest_pause", [0, 3], ids=["eager-reader", "slow-reader"])
@pytest.mark.parametrize("depth", [4, 16])
def test_words_arrive_once_and_in_order(depth, longest_pause):
    rng = random.Random(0)
    dut = staging(depth)
    sent, received = [rng.getrandbits(32) for _ in range(60)], []

    async def writer(ctx):
        ctx.set(dut.limit, 60)
        await ctx.tick()
        ctx.set(dut.opened, 1)
        await write_all(ctx, dut, sent, lambda: rng.randint(0, 2))
        await ctx.tick().repeat(2 * depth)
        assert ctx.get(dut.space) == 0  # as many as were announced

    reader = pysim.collect(
        dut.words, received, count=60, pause=lambda: rng.randint(0, longest_pause)
    )
    pysim.simulate(dut, writer, reader, deadline=1000)
    assert received == sent


@pytest.mark.parametrize("limit", [0, 1, 3, 4, 5])
def test_no_more_words_are_taken_than_were_announced(limit):
    dut = staging(4)
    taken = []

    async def writer(ctx):
        ctx.set(dut.limit, limit)
        await ctx.tick()
        ctx.set(dut.opened, 1)
        ctx.set(dut.limit, 1000)  # sampled before
        ctx.set(dut.words.ready, 1)
        ctx.set(dut.write, 1)
        for number in range(30):
            ctx.set(dut.data, number)
            if ctx.get(dut.space):
                taken.append(number)
            if ctx.get(dut.words.valid):
                assert ctx.get(dut.words.payload) == taken[0]
                taken.pop(0)
                received.append(number)
            await ctx.tick()

    received = []
    pysim.simulate(dut, writer, deadline=100)
    assert len(received) == limit
    assert not taken


def test_space_never_promises_more_than_is_taken():
    dut = staging(4)

    async def writer(ctx):
        ctx.set(dut.limit, 100)
        await ctx.tick()
        ctx.set(dut.opened, 1)
        await ctx.tick()
        assert ctx.get(dut.space) == 4
        ctx.set(dut.write, 1)
        spaces = []
        for _ in range(8):
            spaces.append(ctx.get(dut.space))
            await ctx.tick()
        assert sum(1 for space in spaces if space) == 4
        assert spaces[-1] == 0
        assert all(now - 1 <= later for now, later in pairwise(spaces))

    pysim.simulate(dut, writer, deadline=100)


def test_closing_drops_what_is_left_and_takes_nothing():
    dut = staging(4)

    async def writer(ctx):
        ctx.set(dut.limit, 100)
        ctx.set(dut.write, 1)
        ctx.set(dut.data, 1)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.space) == 0
        ctx.set(dut.opened, 1)
        await ctx.tick().repeat(5)
        assert ctx.get(dut.words.valid)
        ctx.set(dut.opened, 0)
        assert not ctx.get(dut.words.valid)
        assert ctx.get(dut.space) == 0
        ctx.set(dut.write, 0)
        await ctx.tick()
        ctx.set(dut.opened, 1)
        for _ in range(5):
            assert not ctx.get(dut.words.valid)
            await ctx.tick()
        assert ctx.get(dut.space) == 4
        ctx.set(dut.write, 1)
        ctx.set(dut.data, 2)
        await ctx.tick()
        ctx.set(dut.write, 0)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.words.valid)
        assert ctx.get(dut.words.payload) == 2

    pysim.simulate(dut, writer, deadline=100)
