# SPDX-License-Identifier: Apache-2.0
"""FREE implies zero: lifecycle, scrubber, lane and the memory's wiring, at any one address."""

from types import SimpleNamespace
from typing import Any, cast

from amaranth import Module, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from blindvisor.hdl.cluster.laneport import LanePort
from blindvisor.hdl.cluster.scrubber import Scrubber
from blindvisor.hdl.cluster.tile import Tile
from blindvisor.hdl.ionet.flits import LEAF_COMMAND, LaneOp
from blindvisor.hdl.smmu.lifecycle import Lifecycle

__all__ = ["ScrubSpec"]


class ScrubSpec(wiring.Component):
    """Follows the word at one address, any one (``watched``), from any contents at power-on.

    The parts are the shipped ones, joined to the memory by the tile's own code. Of the memory there
    is one word, at the watched address.

    Claims
    ------
    P5-ZERO
        Whenever a cluster has no owner and is not being scrubbed, that is in FREE and from
        power-on's scrub to FREE, the word is zero; so it is when the cluster reports that it is
        clean, and in LOADING until the lane writes it.
    P5-BOUND
        A scrub lasts as many cycles as the memory has words, whatever else is asked.
    P5-ORDER
        In cycle n of a scrub, and in no other, word n is written; the end is told with the last.

    Assumed: the interconnect writes only while the cluster serves, or after that until it has once
    been quiet: accesses that began before. Discharged by the target's proof (P8-SERVE, P5-BUSY) and
    by cores being in reset (lifecycle, P6-HOLD) and by the proof of the interconnect (P5-WRITES).
    """

    command: data.View
    quiet: Signal
    watched: Signal
    address: Signal
    write_enable: Signal
    write_data: Signal

    def __init__(self, *, words: int) -> None:
        self._words = words
        width = ceil_log2(words)
        super().__init__(
            {
                "command": In(LEAF_COMMAND),
                "quiet": In(1),
                "watched": In(width),
                "address": In(width),
                "write_enable": In(4),
                "write_data": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join the parts as the tile does."""
        m = Module()
        words, width = self._words, ceil_log2(self._words)
        m.submodules.lifecycle = lifecycle = Lifecycle()
        m.submodules.scrubber = scrubber = Scrubber(words=words)
        m.submodules.lane = lane = LanePort(words=words)
        m.d.comb += [
            lifecycle.command.eq(self.command),
            lifecycle.quiet.eq(self.quiet),
            lifecycle.scrubbed.eq(scrubber.scrubbed),
            scrubber.zero.eq(lifecycle.zero),
            lane.command.eq(self.command),
            lane.load.eq(lifecycle.load),
            lane.save.eq(lifecycle.save),
        ]
        interconnect = SimpleNamespace(
            fetch_address=Signal(width),
            fetch_data=Signal(32),
            read_data=Signal(32),
            blocked=Signal(),
            address=self.address,
            write_enable=self.write_enable,
            write_data=self.write_data,
        )
        memory = SimpleNamespace(
            fetch_address=Signal(width),
            fetch_data=Signal(32),
            address=Signal(width, name="memory_address"),
            read_data=Signal(32),
            write_enable=Signal(4, name="memory_write_enable"),
            write_data=Signal(32, name="memory_write_data"),
        )
        Tile._memory(cast(Any, None), m, cast(Any, interconnect), cast(Any, memory), lane, scrubber)

        word = Signal(32, init=0xFFFF_FFFF, reset_less=True)  # what was there before is no zero
        for byte in range(4):
            with m.If(memory.write_enable[byte] & (memory.address == self.watched)):
                m.d.sync += word.word_select(byte, 8).eq(memory.write_data.word_select(byte, 8))

        started = Signal()
        was_watched = Signal.like(self.watched)
        m.d.sync += [started.eq(1), was_watched.eq(self.watched)]
        settled = Signal(init=1)
        with m.If(lifecycle.serve):
            m.d.sync += settled.eq(0)
        with m.Elif(self.quiet):
            m.d.sync += settled.eq(1)
        m.d.comb += [
            Assume(~started | (self.watched == was_watched), "one address is watched"),
            Assume(
                (self.write_enable == 0) | lifecycle.serve | ~(settled | self.quiet),
                "the interconnect writes for an owner",
            ),
        ]

        idle = Signal()
        m.d.comb += idle.eq(
            (lifecycle.ownership.owner == 0) & ~lifecycle.zero & ~lifecycle.load & ~lifecycle.serve
        )
        m.d.comb += Assert(~idle | (word == 0), "P5-ZERO")

        used = Signal()  # since the cluster was without owner
        with m.If(idle):
            m.d.sync += used.eq(0)
        with m.Elif(lifecycle.serve | lane.write):
            m.d.sync += used.eq(1)
        with m.If(lifecycle.load & ~used):
            m.d.comb += Assert(word == 0, "P5-ZERO")

        spent = Signal(range(words + 1))
        with m.If(lifecycle.zero):
            m.d.sync += spent.eq(spent + 1)
        with m.Else():
            m.d.sync += spent.eq(0)
        m.d.comb += [
            Assert(~lifecycle.zero | (spent <= words - 1), "P5-BOUND"),
            Assert(scrubber.write == lifecycle.zero, "P5-ORDER"),
            Assert(scrubber.index == spent[:width], "P5-ORDER"),
            Assert(scrubber.scrubbed == (lifecycle.zero & (spent == words - 1)), "P5-ORDER"),
        ]

        asked = self.command.valid & self.command.named & (self.command.op == LaneOp.FREE)
        was_asked = Signal()
        m.d.sync += was_asked.eq(asked)
        dirty = Signal()
        with m.If(lifecycle.serve & (word != 0)):
            m.d.sync += dirty.eq(1)
        m.d.comb += [
            Cover(was_asked & lifecycle.reply.ok & idle, "power-on leads to FREE"),
            Cover(lifecycle.drain & lifecycle.zero & (word != 0), "an owner's word is scrubbed"),
            Cover(dirty & lifecycle.drain & ~lifecycle.zero, "an owner left something"),
        ]
        return m
