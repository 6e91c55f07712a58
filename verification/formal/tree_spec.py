# SPDX-License-Identifier: Apache-2.0
"""The tree of the I/O network: what is between its root and its leaves is time."""

from typing import Any

from amaranth import Module, Signal, Value
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import UP_FLIT, down_flit
from blindvisor.hdl.ionet.tree import IoTree, tree_depth

__all__ = ["TreeSpec"]


class TreeSpec(wiring.Component):
    """Remembers what was said at both ends.

    Claims
    ------
    P3-DOWN
        Every leaf is told what the root said ``tree_depth`` cycles before, in the same cycle as all
        others: each command arrives once at every leaf, and which of them obeys is the leaf's to
        decide (``node``).
    P12-UP
        The root is told what the leaves said ``tree_depth`` cycles before, joined by OR: if one
        alone spoke, that, and which leaf it was makes no difference.

    Nothing is assumed. In ``tree_depth`` cycles a tree forgets all that was before: so the
    induction takes one step more.
    """

    down: Any
    leaves: list[Any]

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {"down": In(down_flit(config)), "leaves": In(UP_FLIT).array(config.clusters)}
        )

    def elaborate(self, platform: object) -> Module:
        """Delay both directions by the depth."""
        m = Module()
        m.submodules.dut = dut = IoTree(self.config)
        depth, clusters = tree_depth(self.config), self.config.clusters
        said = Value.cast(0)
        for leaf in self.leaves:
            said |= leaf.as_value()
        m.d.comb += [
            dut.down.eq(self.down),
            *(port.eq(leaf) for port, leaf in zip(dut.leaves_up, self.leaves, strict=True)),
        ]
        silence = down_flit(self.config).const({"lane": 1}).as_value()
        told, heard = self.down.as_value(), said
        for cycle in range(depth):
            downward = Signal(len(told), init=silence.value, name=f"told_{cycle}")
            upward = Signal(UP_FLIT.size, name=f"heard_{cycle}")
            m.d.sync += [downward.eq(told), upward.eq(heard)]
            told, heard = downward, upward
        nearest, farthest = dut.leaves_down[0], dut.leaves_down[clusters - 1]
        m.d.comb += [
            *(Assert(leaf.as_value() == told, "P3-DOWN") for leaf in dut.leaves_down),
            Assert(dut.up.as_value() == heard, "P12-UP"),
            Cover(nearest.valid & farthest.valid & (farthest.payload != 0), "leaves are told"),
            Cover(dut.up.valid & (dut.up.payload != 0), "the root is told"),
        ]
        return m
