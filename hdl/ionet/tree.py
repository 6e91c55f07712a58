# SPDX-License-Identifier: Apache-2.0
"""The wires between the root of the I/O network and its leaves."""

from functools import reduce
from operator import or_

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import UP_FLIT, down_flit

__all__ = ["RADIX", "IoTree", "tree_depth"]

RADIX = 4
"""Children of a node of the tree: an OR of four fits the look-up tables of small FPGAs."""


def tree_depth(config: MachineConfig) -> int:
    """Cycles from the root to a leaf, and from a leaf to the root: one per level, 1 or more."""
    depth = 1
    while RADIX**depth < config.clusters:
        depth += 1
    return depth


class IoTree(wiring.Component):
    """A tree of registers: the same flit to all leaves, and the OR of what the leaves say.

    Nothing is stored longer than a cycle, nothing waits and nothing decides. All leaves are
    equally far away, so flits that leave their leaves in different cycles never meet.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    down : :py:`In(down_flit(config))`
        From the root.
    up : :py:`Out(UP_FLIT)`
        To the root: what the leaves said ``tree_depth(config)`` cycles before.
    leaves_down : :py:`Out(down_flit(config)).array(config.clusters)`
        To the leaves: what the root said ``tree_depth(config)`` cycles before.
    leaves_up : :py:`In(UP_FLIT).array(config.clusters)`
        From the leaves; all zero from a leaf that has nothing to say.

    Notes
    -----
    A node has one register in each direction. The registers of one level hold the same flit going
    down; each drives its own children only, which keeps wires short.
    """

    down: data.View
    up: data.View
    leaves_down: list[data.View]
    leaves_up: list[data.View]

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "down": In(down_flit(config)),
                "up": Out(UP_FLIT),
                "leaves_down": Out(down_flit(config)).array(config.clusters),
                "leaves_up": In(UP_FLIT).array(config.clusters),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build the levels from the leaves to the root."""
        m = Module()

        # All zero would read as cluster 0's slot: it would speak before the frame has begun.
        flit, silence = down_flit(self.config), {"lane": 1}
        downs, ups = self.leaves_down, self.leaves_up
        to_children = m.d.comb  # leaves have no register in the tree; inner nodes have
        for level in reversed(range(tree_depth(self.config))):
            nodes = range(-(-len(ups) // RADIX))
            node_downs = [
                Signal(flit, name=f"down_level{level}_{node}", init=silence) for node in nodes
            ]
            node_ups = [Signal(UP_FLIT, name=f"up_level{level}_{node}") for node in nodes]
            for node in nodes:
                children = slice(RADIX * node, RADIX * (node + 1))
                to_children += [child.eq(node_downs[node]) for child in downs[children]]
                merged = reduce(or_, (child.as_value() for child in ups[children]))
                m.d.sync += node_ups[node].as_value().eq(merged)
            downs, ups = node_downs, node_ups
            to_children = m.d.sync
        m.d.sync += downs[0].eq(self.down)
        m.d.comb += self.up.eq(ups[0])

        return m
