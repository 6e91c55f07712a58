# SPDX-License-Identifier: Apache-2.0
"""Properties of a cluster's lifecycle, for every sequence of commands."""

from amaranth import Cat, Module, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.abi import ClusterState
from blindvisor.hdl.ionet.flits import CLAIM, LAUNCH, LEAF_COMMAND, STATUS_REPLY, LaneOp
from blindvisor.hdl.smmu.lifecycle import OWNERSHIP, Lifecycle

__all__ = ["LifecycleSpec"]

S = ClusterState


class LifecycleSpec(wiring.Component):
    """A second lifecycle, written as a table of edges, runs beside the gateware's.

    Claims
    ------
    P3-EDGES
        State and owner are what the table says after every command: owner and rectangle change on
        an accepted CLAIM and an accepted FREE, and at no other time.
    P5-SCRUB
        From LOADING, RUNNING or FROZEN, and from power-on, FREE is reached only after the scrubber
        has reported that it is done, and that after the last moment at which the cluster was busy.
    P6-HOLD
        Cores are out of reset in RUNNING and FROZEN alone, and start accesses in RUNNING alone.
    P8-ZERO
        Serving, loading and saving need the state that is named for them; draining needs an owner.
    RESUMED
        What LAUNCH said of the VM's image, from it to STOP; zero at any other time.
    REPLY
        CLAIM, SCRUB, FREE and STATUS by name are answered in the next cycle; nothing else is.
        A refused command changes nothing.

    Nothing is assumed.
    """

    command: data.View
    quiet: Signal
    scrubbed: Signal

    def __init__(self, dut: Lifecycle) -> None:
        self.dut = dut
        super().__init__({"command": In(LEAF_COMMAND), "quiet": In(1), "scrubbed": In(1)})

    def elaborate(self, platform: object) -> Module:
        """Run the table beside the gateware and compare."""
        m = Module()
        m.submodules.dut = dut = self.dut
        command = self.command
        m.d.comb += [
            dut.command.eq(command),
            dut.quiet.eq(self.quiet),
            dut.scrubbed.eq(self.scrubbed),
        ]

        state = Signal(ClusterState)
        owner = Signal(OWNERSHIP)
        resumed = Signal()
        told = Signal(init=1)  # to scrub; power-on does so itself
        done = Signal()
        claim = data.View(CLAIM, command.data)
        to_us = (
            command.valid & ~command.named & (command.data[:8] == owner.owner) & (owner.owner != 0)
        )
        by_name = command.valid & command.named
        drained = Signal()
        m.d.comb += drained.eq((state == S.SCRUBBING) & ~told & ~done & self.quiet)

        accepted = Signal()
        # What the scrubber says counts only while it was told to work.
        with m.If(self.scrubbed & told & (state == S.SCRUBBING)):
            m.d.sync += [told.eq(0), done.eq(1)]
        with m.If(by_name & (command.op == LaneOp.CLAIM) & (state == S.FREE) & (claim.owner != 0)):
            m.d.comb += accepted.eq(1)
            m.d.sync += [state.eq(S.LOADING), owner.eq(command.data[:24])]
        for op, source, target in (
            (LaneOp.LAUNCH, S.LOADING, S.RUNNING),
            (LaneOp.FREEZE, S.RUNNING, S.FROZEN),
            (LaneOp.RESUME, S.FROZEN, S.RUNNING),
        ):
            with m.If(to_us & (command.op == op) & (state == source)):
                m.d.sync += state.eq(target)
        with m.If(to_us & (command.op == LaneOp.LAUNCH) & (state == S.LOADING)):
            m.d.sync += resumed.eq(data.View(LAUNCH, command.data).resumed)
        with m.If(
            to_us
            & (command.op == LaneOp.STOP)
            & ((state == S.LOADING) | (state == S.RUNNING) | (state == S.FROZEN))
        ):
            m.d.sync += [state.eq(S.SCRUBBING), told.eq(0), done.eq(0)]
        with m.If(by_name & (command.op == LaneOp.SCRUB) & drained):
            m.d.comb += accepted.eq(1)
            m.d.sync += told.eq(1)
        with m.If(by_name & (command.op == LaneOp.FREE) & (state == S.SCRUBBING) & done):
            m.d.comb += accepted.eq(1)
            m.d.sync += [state.eq(S.FREE), owner.eq(0), done.eq(0)]

        status = Signal(STATUS_REPLY)
        m.d.comb += [
            status.state.eq(state),
            status.drained.eq(drained),
            status.clean.eq((state == S.SCRUBBING) & done),
            status.owner.eq(owner.owner),
        ]
        asked = by_name & (command.op == LaneOp.STATUS)
        answered = (
            asked
            | by_name & (command.op == LaneOp.CLAIM)
            | by_name & (command.op == LaneOp.SCRUB)
            | by_name & (command.op == LaneOp.FREE)
        )
        was_answered = Signal()
        was_good = Signal()
        was_status = Signal(STATUS_REPLY)
        m.d.sync += [
            was_answered.eq(answered),
            was_good.eq(accepted | asked),
            was_status.eq(status),
        ]
        m.d.comb += [
            Assert(dut.reply_valid == was_answered, "REPLY"),
            Assert(dut.reply.ok == was_good, "REPLY"),
        ]
        with m.If(was_good):
            m.d.comb += Assert(dut.reply.data == was_status.as_value(), "REPLY")
        with m.Else():
            m.d.comb += Assert(dut.reply.data == 0, "REPLY")

        m.d.comb += [
            Assert(dut.ownership == owner, "P3-EDGES"),
            Assert(dut.run == (state == S.RUNNING), "P6-HOLD"),
            Assert(dut.hold == ~((state == S.RUNNING) | (state == S.FROZEN)), "P6-HOLD"),
            Assert(dut.serve == ((state == S.RUNNING) | (state == S.FROZEN)), "P8-ZERO"),
            Assert(
                dut.resumed == (resumed & ((state == S.RUNNING) | (state == S.FROZEN))), "RESUMED"
            ),
            Assert(dut.load == (state == S.LOADING), "P8-ZERO"),
            Assert(dut.save == (state == S.FROZEN), "P8-ZERO"),
            Assert(dut.drain == ((state == S.SCRUBBING) & (owner.owner != 0)), "P8-ZERO"),
            Assert(dut.zero == ((state == S.SCRUBBING) & told), "P5-SCRUB"),
        ]

        # The same claim once more, by the time since the cluster was last used.
        dirty = Signal(init=1)
        with m.If(dut.serve | dut.load):
            m.d.sync += dirty.eq(1)
        with m.Elif(self.scrubbed & dut.zero):
            m.d.sync += dirty.eq(0)
        with m.If(state == S.FREE):
            m.d.comb += Assert(~dirty, "P5-SCRUB")

        m.d.comb += [
            Cover(dut.save & dut.resumed, "FROZEN is reached by a VM that was restored"),
            Cover(
                (state == S.FREE) & ~Cat(told, done).any() & was_answered & was_good,
                "FREE is reached",
            ),
            Cover(dut.drain & dut.zero, "a VM's cluster is scrubbed"),
        ]
        return m
