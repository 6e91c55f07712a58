# amaranth: UnusedElaboratable=no
"""The FIFO of a router input."""

import random

import pytest

from blindvisor.hdl.noc.fifo import Fifo
from blindvisor.sim import pysim

CORNERS = [2, 3, 4, 5, 15, 16]


@pytest.mark.parametrize(
    ("depth", "error", "message"),
    [
        (1, ValueError, r"^FIFO depth must be from 2 to 16, not 1$"),
        (17, ValueError, r"^FIFO depth must be from 2 to 16, not 17$"),
        (None, TypeError, r"^FIFO depth must be an integer, not None$"),
    ],
)
def test_wrong_depth_is_refused(depth, error, message):
    with pytest.raises(error, match=message):
        Fifo(shape=8, depth=depth)


@pytest.mark.parametrize("depth", CORNERS)
def test_full_fifo_refuses_and_gives_back_all_it_took(depth):
    dut = Fifo(shape=8, depth=depth)

    async def testbench(ctx):
        for lap in range(3):
            ctx.set(dut.writer.valid, 1)
            for n in range(depth):
                assert ctx.get(dut.writer.ready)
                ctx.set(dut.writer.payload, lap * 16 + n)
                await ctx.tick()
            assert not ctx.get(dut.writer.ready)
            await ctx.tick()
            ctx.set(dut.writer.valid, 0)
            ctx.set(dut.reader.ready, 1)
            for n in range(depth):
                assert ctx.get(dut.reader.valid)
                assert ctx.get(dut.reader.payload) == lap * 16 + n
                await ctx.tick()
            assert not ctx.get(dut.reader.valid)
            ctx.set(dut.reader.ready, 0)

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize("depth", CORNERS)
@pytest.mark.parametrize("pauses", [(0,), (0, 0, 0, 9)], ids=["eager-reader", "slow-reader"])
def test_words_come_out_in_order(depth, pauses):
    rng = random.Random(depth)
    dut = Fifo(shape=8, depth=depth)
    words = [rng.randrange(256) for _ in range(200)]
    got = []
    pysim.simulate(
        dut,
        pysim.offer(dut.writer, words),
        pysim.collect(dut.reader, got, count=len(words), pause=lambda: rng.choice(pauses)),
        # Without pauses: not a cycle more than one per word, and one on the way through.
        deadline=len(words) + 2 if pauses == (0,) else 2_000,
    )
    assert got == words
