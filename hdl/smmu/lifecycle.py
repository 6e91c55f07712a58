# SPDX-License-Identifier: Apache-2.0
"""Who owns a cluster and what its owner may do now: the state that all checks read."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import ClusterState
from blindvisor.hdl.ionet.flits import (
    CLAIM,
    LANE_REPLY,
    LAUNCH,
    LEAF_COMMAND,
    STATUS_REPLY,
    LaneOp,
)
from blindvisor.hdl.noc.packets import COORDINATES

__all__ = ["OWNERSHIP", "Lifecycle"]

OWNERSHIP = data.StructLayout({"owner": 8, "origin": COORDINATES, "last": COORDINATES})
"""``owner``: VM, 0 for nobody. ``origin``: mesh coordinates of the VM's guest cluster (0, 0).
``last``: the VM's largest guest coordinates, so width - 1 and height - 1."""


class Lifecycle(wiring.Component):
    """State machine of one cluster, moved by the monitor lane and by nothing else.

    ::

        FREE -CLAIM-> LOADING -LAUNCH-> RUNNING -FREEZE-> FROZEN -RESUME-> RUNNING
        LOADING, RUNNING, FROZEN -STOP-> SCRUBBING: draining -SCRUB-> zeroing -> clean -FREE-> FREE

    Power-on starts at *zeroing*, so the first thing a cluster ever does is to scrub itself. Every
    encoding that is no state acts as SCRUBBING: cores in reset, nothing served (P8).

    Members
    -------
    command : :py:`In`
        ``valid`` (one cycle), ``named``, ``op``, ``data``: from the leaf of the I/O network.
    reply_valid, reply : :py:`Out(1)`, :py:`Out(LANE_REPLY)`
        In the cycle after a named CLAIM, SCRUB, FREE or STATUS.
    quiet : :py:`In(1)`
        Nothing that this cluster's owner started is in flight.
    scrubbed : :py:`In(1)`
        One cycle: memory, core and interrupt state are zero.
    ownership : :py:`Out(OWNERSHIP)`
        Valid in every state but FREE (and after power-on), where it is zero.
    run : :py:`Out(1)`
        RUNNING: cores may start accesses.
    hold : :py:`Out(1)`
        Cores are in reset: every state but RUNNING and FROZEN.
    serve : :py:`Out(1)`
        RUNNING or FROZEN: what the owner asks of this cluster takes effect.
    drain : :py:`Out(1)`
        SCRUBBING with an owner: answers may still leave and arrive.
    resumed : :py:`Out(1)`
        RUNNING or FROZEN: the LAUNCH said that the VM's image is a saved state.
    load, save : :py:`Out(1)`
        LOADING: the lane may write memory. FROZEN: it may read it.
    zero : :py:`Out(1)`
        The scrubber works while this is set.

    Notes
    -----
    Keeps P3 (owner changes on CLAIM and FREE only), P5, P6 (``hold``) and P8.
    """

    # For type checkers.
    command: data.View
    reply_valid: Signal
    reply: data.View
    quiet: Signal
    scrubbed: Signal
    ownership: data.View
    run: Signal
    hold: Signal
    serve: Signal
    drain: Signal
    resumed: Signal
    load: Signal
    save: Signal
    zero: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "command": In(LEAF_COMMAND),
                "reply_valid": Out(1),
                "reply": Out(LANE_REPLY),
                "quiet": In(1),
                "scrubbed": In(1),
                "ownership": Out(OWNERSHIP),
                "run": Out(1),
                "hold": Out(1),
                "serve": Out(1),
                "drain": Out(1),
                "resumed": Out(1),
                "load": Out(1),
                "save": Out(1),
                "zero": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Decode the lane's commands; whatever is not an edge of the diagram changes nothing."""
        m = Module()
        state = Signal(ClusterState, init=ClusterState.SCRUBBING)
        # Phases of SCRUBBING: draining while neither is set.
        zeroing = Signal(init=1)
        clean = Signal()

        claim = data.View(CLAIM, self.command.data)
        launch = data.View(LAUNCH, self.command.data)
        ours = Signal()
        scrubbing = Signal()
        drained = Signal()
        m.d.comb += [
            self.run.eq(state == ClusterState.RUNNING),
            self.serve.eq((state == ClusterState.RUNNING) | (state == ClusterState.FROZEN)),
            self.hold.eq(~self.serve),
            self.load.eq(state == ClusterState.LOADING),
            self.save.eq(state == ClusterState.FROZEN),
            scrubbing.eq(~self.serve & ~self.load & (state != ClusterState.FREE)),
            self.drain.eq(scrubbing & (self.ownership.owner != 0)),
            self.zero.eq(scrubbing & zeroing),
            drained.eq(scrubbing & ~zeroing & ~clean & self.quiet),
            ours.eq(
                (self.command.data[:8] == self.ownership.owner)
                & (self.ownership.owner != 0)
                & ~self.command.named
            ),
        ]

        status = Signal(STATUS_REPLY)
        m.d.comb += status.eq(
            Cat(
                state,
                drained,
                scrubbing & clean,
                Const(0, 3),
                self.ownership.owner,
                Const(0, 16),
            )
        )

        m.d.sync += [self.reply_valid.eq(0), self.reply.eq(0)]
        accepted = Cat(status, 1)
        with m.If(self.zero & self.scrubbed):
            m.d.sync += [zeroing.eq(0), clean.eq(1)]
        with m.If(self.command.valid & self.command.named):
            with m.Switch(self.command.op):
                with m.Case(LaneOp.CLAIM, LaneOp.SCRUB, LaneOp.FREE):
                    m.d.sync += self.reply_valid.eq(1)
                with m.Case(LaneOp.STATUS):
                    m.d.sync += [self.reply_valid.eq(1), self.reply.eq(accepted)]
        with m.If(self.command.valid):
            with m.Switch(self.command.op):
                with m.Case(LaneOp.CLAIM):
                    with m.If(
                        self.command.named & (state == ClusterState.FREE) & (claim.owner != 0)
                    ):
                        m.d.sync += [
                            state.eq(ClusterState.LOADING),
                            self.ownership.eq(
                                Cat(
                                    claim.owner,
                                    claim.origin_x,
                                    claim.origin_y,
                                    claim.last_x,
                                    claim.last_y,
                                )
                            ),
                            self.reply.eq(accepted),
                        ]
                with m.Case(LaneOp.LAUNCH):
                    with m.If(ours & self.load):
                        m.d.sync += [
                            state.eq(ClusterState.RUNNING),
                            self.resumed.eq(launch.resumed),
                        ]
                with m.Case(LaneOp.FREEZE):
                    with m.If(ours & self.run):
                        m.d.sync += state.eq(ClusterState.FROZEN)
                with m.Case(LaneOp.RESUME):
                    with m.If(ours & self.save):
                        m.d.sync += state.eq(ClusterState.RUNNING)
                with m.Case(LaneOp.STOP):
                    with m.If(ours & (self.load | self.serve)):
                        m.d.sync += [
                            state.eq(ClusterState.SCRUBBING),
                            zeroing.eq(0),
                            clean.eq(0),
                            self.resumed.eq(0),
                        ]
                with m.Case(LaneOp.SCRUB):
                    with m.If(self.command.named & drained):
                        m.d.sync += [zeroing.eq(1), self.reply.eq(accepted)]
                with m.Case(LaneOp.FREE):
                    with m.If(self.command.named & scrubbing & clean):
                        m.d.sync += [
                            state.eq(ClusterState.FREE),
                            self.ownership.eq(0),
                            clean.eq(0),
                            self.reply.eq(accepted),
                        ]
        return m
