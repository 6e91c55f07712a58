# amaranth: UnusedElaboratable=no
"""Words to blocks and back."""

import random

import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect

from blindvisor.hdl.loader.words import BlockGather, WordScatter
from blindvisor.sim import pysim


class Both(wiring.Component):
    """A gatherer behind a scatterer."""

    def __init__(self):
        self.scatter, self.gather = WordScatter(), BlockGather()
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.scatter = self.scatter
        m.submodules.gather = self.gather
        connect(m, self.scatter.words, self.gather.words)
        m.d.comb += self.gather.enable.eq(1)
        return m


@pytest.mark.parametrize("longest", [0, 5])
def test_blocks_come_out_as_they_went_in(longest):
    rng = random.Random(longest)
    blocks, out = [rng.getrandbits(128) for _ in range(20)], []
    dut = Both()
    pysim.simulate(
        dut,
        pysim.offer(dut.scatter.blocks, blocks),
        pysim.collect(dut.gather.blocks, out, count=20, pause=lambda: rng.randint(0, longest)),
    )
    assert out == blocks


def test_the_first_word_is_the_lowest():
    dut, out = WordScatter(), []
    pysim.simulate(
        dut,
        pysim.offer(dut.blocks, [0x00000004_00000003_00000002_00000001]),
        pysim.collect(dut.words, out, count=4),
    )
    assert out == [1, 2, 3, 4]


def test_no_word_is_taken_unless_enabled_and_each_block_is_told_before():
    dut = BlockGather()

    async def testbench(ctx):
        ctx.set(dut.words.valid, 1)
        assert not ctx.get(dut.words.ready)
        ctx.set(dut.enable, 1)
        filled = []
        for n in range(4):
            ctx.set(dut.words.payload, n + 1)
            assert ctx.get(dut.words.ready)
            filled.append(ctx.get(dut.filled))
            await ctx.tick()
        assert filled == [0, 0, 0, 1]
        assert not ctx.get(dut.words.ready)
        assert not ctx.get(dut.filled)
        assert ctx.get(dut.blocks.valid)
        assert ctx.get(dut.blocks.payload) == 0x00000004_00000003_00000002_00000001

    pysim.simulate(dut, testbench)
