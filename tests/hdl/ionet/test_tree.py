# amaranth: UnusedElaboratable=no
"""The tree alone: depth, equal delay, merging."""

import random

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import UP_FLIT
from blindvisor.hdl.ionet.tree import IoTree, tree_depth
from blindvisor.sim import pysim


def config(width, height):
    return MachineConfig(name="test", width=width, height=height)


@pytest.mark.parametrize(
    ("width", "height", "depth"),
    [(1, 1, 1), (2, 2, 1), (5, 1, 2), (4, 4, 2), (6, 3, 3), (8, 8, 3), (13, 5, 4), (16, 16, 4)],
)
def test_depth_is_the_fewest_levels_and_at_least_one(width, height, depth):
    assert tree_depth(config(width, height)) == depth


@pytest.mark.parametrize(("width", "height"), [(1, 1), (4, 1), (5, 1), (6, 3)])
def test_all_leaves_hear_every_flit_depth_cycles_later(width, height):
    dut = IoTree(config(width, height))
    depth = tree_depth(dut.config)
    shape = dut.down.shape()
    rng = random.Random(width)
    sent = [rng.getrandbits(shape.size) for _ in range(40)]

    async def testbench(ctx):
        for cycle, bits in enumerate(sent):
            ctx.set(dut.down.as_value(), bits)
            for leaf in dut.leaves_down:
                if cycle >= depth:
                    assert ctx.get(leaf.as_value()) == sent[cycle - depth]
                else:  # nobody's slot, no command
                    assert ctx.get(leaf) == shape.const({"lane": 1})
            await ctx.tick()

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (4, 1), (5, 1), (6, 3)])
def test_the_root_hears_the_or_of_all_leaves_depth_cycles_later(width, height):
    dut = IoTree(config(width, height))
    depth = tree_depth(dut.config)
    rng = random.Random(height)
    merged = [0] * depth

    async def testbench(ctx):
        for cycle in range(20 + 2 * dut.config.clusters):
            union = 0
            for index, leaf in enumerate(dut.leaves_up):
                alone = cycle % dut.config.clusters == index
                bits = rng.getrandbits(UP_FLIT.size) if alone or rng.random() < 0.1 else 0
                ctx.set(leaf.as_value(), bits)
                union |= bits
            assert ctx.get(dut.up.as_value()) == merged[cycle]
            merged.append(union)
            await ctx.tick()

    pysim.simulate(dut, testbench)
