# SPDX-License-Identifier: Apache-2.0
"""Properties of the security monitor, for every sequence of calls and every answer to it."""

from typing import Any

from amaranth import Cat, Module, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.abi import Call, Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.guard import ROW
from blindvisor.hdl.iocluster.monitor import Monitor
from blindvisor.hdl.ionet.flits import (
    CLAIM,
    LANE_REPLY,
    LAUNCH,
    STATUS_REPLY,
    LaneOp,
    lane_command,
)

__all__ = ["MonitorSpec"]

REFUSALS = (
    Result.UNKNOWN_CALL,
    Result.BAD_VM,
    Result.BAD_RECTANGLE,
    Result.OCCUPIED,
    Result.WRONG_STATE,
    Result.BAD_CHANNEL,
    Result.BAD_GUEST_CHANNEL,
    Result.CHANNEL_TAKEN,
    Result.GUEST_CHANNEL_TAKEN,
    Result.BAD_ARGUMENT,
)
ENDS = (
    *REFUSALS,
    Result.OK,
    Result.IMAGE_HEADER,
    Result.IMAGE_SIZE,
    Result.IMAGE_KEY,
    Result.IMAGE_TAG,
    Result.ABORTED,
    Result.CLUSTER_FAULT,
    Result.IMAGE_OLD,
    Result.STORE_FULL,
    Result.NO_NONCE,
)


CLAIMS = (
    "P3-EDGE",
    "P3-LOADER",
    "P4-CLAIM",
    "P4-RECTANGLE",
    "P4-GONE",
    "P5-FREE",
    "P6-LAUNCH",
    "P8-REFUSED",
    "P8-CODE",
    "P9-VALUES",
    "P10-UPDATE",
)


class _Inputs(wiring.Signature):
    """What surrounds the monitor, for the solver to choose."""

    def __init__(self, config: MachineConfig) -> None:
        super().__init__(
            {
                "start": Out(1),
                "command": Out(32),
                "arguments": Out(data.ArrayLayout(32, 5)),
                "abort": Out(1),
                "ready": Out(1),
                "reply_valid": Out(1),
                "reply": Out(LANE_REPLY),
                "load_busy": Out(1),
                "load_done": Out(1),
                "load_result": Out(Result),
                "load_resumed": Out(1),
                "saved_waiting": Out(1),
                "loader_command": Out(stream.Signature(lane_command(config))),
            }
        )


class MonitorSpec(wiring.Component):
    """Follows one cluster (``watched``) and one VM (``vm``), any ones.

    Clusters may answer what they like, the loader may say and send what it likes, the hypervisor
    may write what it likes, and reset may come at any time.

    Claims
    ------
    P3-EDGE
        The owner of a cluster changes only when the cluster has just accepted CLAIM (to the
        claim's owner) or FREE (to nobody).
    P3-LOADER
        During a load nothing but ADDRESS and WRITE is sent, during a save nothing but ADDRESS and
        READ; otherwise, none of them is.
    P4-CLAIM
        CLAIM goes only to a cluster without an owner, in the claimed rectangle, which is in the
        mesh, for a VM that exists.
    P4-RECTANGLE
        After a VM_CREATE that ended well, the VM owns the clusters of its rectangle and no other.
    P4-GONE
        After a VM_DESTROY that ended well, the VM owns no cluster.
    P5-FREE
        FREE goes only to a cluster that has just said that it is clean, with no SCRUB since.
    P6-LAUNCH
        LAUNCH of a VM comes only after the loader's OK for it, without an abort, and once only; it
        tells whether the loader said that the image is a saved state.
    P8-REFUSED
        A call that ends with a refusal has spoken to no cluster, no channel and not to the
        loader, and has changed neither the owner nor the values.
    P8-CODE
        Every call that ends, ends in a documented code; unknown ones with UNKNOWN_CALL.
    P9-VALUES
        VALUE0..VALUE3 change in STATUS alone.
    P10-UPDATE
        A channel never goes from one owner to another without being revoked in between.

    Assumed: a reply comes only for a named command, and at most 31 are on their way. Not covered:
    other sizes than the given one; that a call ends (bench, with a bound).

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    dut : :class:`Monitor` or None
        The monitor, if not a new one.
    claims : :class:`tuple` of :class:`str`
        Claims to assert; a solver that need not hold them all at once has less to learn.
    deep : :class:`bool`
        Whether to ask for covers that take two calls or a pass over the clusters as well.
    """

    watched: Signal
    vm: Signal
    inputs: Any

    def __init__(
        self,
        config: MachineConfig,
        dut: wiring.Component | None = None,
        *,
        claims: tuple[str, ...] = CLAIMS,
        deep: bool = True,
    ) -> None:
        if unknown := set(claims) - set(CLAIMS):
            raise ValueError(f"a claim must be one of {', '.join(CLAIMS)}, not {min(unknown)}")
        self.config = config
        self.claims = claims
        self.deep = deep
        self.dut: Any = Monitor(config) if dut is None else dut
        super().__init__(
            {
                "watched": In(range(config.clusters)),
                "vm": In(8),
                "inputs": In(_Inputs(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Remember what was said, and compare."""
        m = Module()
        m.submodules.dut = dut = self.dut
        config, inputs = self.config, self.inputs
        lane, calls = dut.lane, dut.calls
        rows = Signal(data.ArrayLayout(ROW, config.channels))
        with m.If(dut.update.valid), m.Switch(dut.update.channel):
            for n in range(config.channels):
                with m.Case(n):
                    m.d.sync += rows[n].eq(dut.update.row)
        connect(m, flipped(inputs.loader_command), dut.loader_lane.command)
        m.d.comb += [
            calls.start.eq(inputs.start),
            calls.command.eq(inputs.command),
            calls.arguments.eq(inputs.arguments),
            calls.abort.eq(inputs.abort),
            lane.command.ready.eq(inputs.ready),
            lane.reply_valid.eq(inputs.reply_valid),
            lane.reply.eq(inputs.reply),
            dut.load.busy.eq(inputs.load_busy),
            dut.load.done.eq(inputs.load_done),
            dut.load.result.eq(inputs.load_result),
            dut.load.resumed.eq(inputs.load_resumed),
            dut.saved_waiting.eq(inputs.saved_waiting),
            dut.rows.eq(rows),
            dut.guard_cluster.eq(self.watched),
        ]
        owner = dut.guard_owner

        # What stays, and how many replies are owed.
        started = Signal()
        was_watched, was_vm = Signal.like(self.watched), Signal.like(self.vm)
        owed = Signal(6)
        sent = lane.command.valid & lane.command.ready
        named = lane.command.payload.named
        m.d.sync += [started.eq(1), was_watched.eq(self.watched), was_vm.eq(self.vm)]
        m.d.sync += owed.eq(owed + (sent & named) - inputs.reply_valid)
        m.d.comb += [
            Assume(~started | ((self.watched == was_watched) & (self.vm == was_vm)), "constant"),
            Assume(self.watched < config.clusters, "watched is a cluster"),
            Assume((self.vm != 0) & (self.vm <= config.vms), "vm is a VM"),
            Assume(~inputs.reply_valid | (owed != 0), "replies are owed"),
            Assume(owed < 32, "the tree holds no more"),
        ]

        call, words = self._running_call(m, calls)
        op = lane.command.payload.op
        to_watched = named & (lane.command.payload.cluster == self.watched)
        about_watched = Signal()
        last_op = Signal(LaneOp)
        last_claim = Signal(CLAIM)
        with m.If(sent):
            m.d.sync += [
                about_watched.eq(to_watched),
                last_op.eq(op),
                last_claim.eq(lane.command.payload.data),
            ]
        accepted = inputs.reply_valid & inputs.reply.ok & about_watched

        # P3
        was_owner, was_accepted = Signal(8), Signal()
        was_op, was_claimer = Signal(LaneOp), Signal(8)
        m.d.sync += [
            was_owner.eq(owner),
            was_accepted.eq(accepted),
            was_op.eq(last_op),
            was_claimer.eq(last_claim.owner),
        ]
        claimed = was_accepted & (was_op == LaneOp.CLAIM) & (owner == was_claimer)
        freed = was_accepted & (was_op == LaneOp.FREE) & (owner == 0)
        with m.If(started & (owner != was_owner)):
            m.d.comb += self._claim(claimed | freed, "P3-EDGE")
        placing = (op == LaneOp.WRITE) | (op == LaneOp.ADDRESS)
        reading = (op == LaneOp.READ) | (op == LaneOp.ADDRESS)
        with m.If(calls.loading & lane.command.valid):
            m.d.comb += self._claim(placing & named, "P3-LOADER")
        with m.If(calls.saving & lane.command.valid):
            m.d.comb += self._claim(reading & named, "P3-LOADER")
        loaded_lately = Signal()
        lent = calls.loading | calls.saving
        with m.If(lent):
            m.d.sync += loaded_lately.eq(1)
        with m.Elif(owed == 0):
            m.d.sync += loaded_lately.eq(0)
        with m.If(~lent & ~loaded_lately & lane.command.valid):
            m.d.comb += self._claim(~(placing | reading), "P3-LOADER")

        # P4
        claim = data.View(CLAIM, lane.command.payload.data)
        y, x = self._coordinates(self.watched)
        with m.If(lane.command.valid & to_watched & (op == LaneOp.CLAIM)):
            m.d.comb += [
                self._claim(owner == 0, "P4-CLAIM"),
                self._claim((claim.owner != 0) & (claim.owner <= config.vms), "P4-CLAIM"),
                self._claim(
                    (claim.origin_x <= x) & (x <= claim.origin_x + claim.last_x), "P4-CLAIM"
                ),
                self._claim(
                    (claim.origin_y <= y) & (y <= claim.origin_y + claim.last_y), "P4-CLAIM"
                ),
                self._claim(claim.origin_x + claim.last_x < config.width, "P4-CLAIM"),
                self._claim(claim.origin_y + claim.last_y < config.height, "P4-CLAIM"),
            ]
        ended, result = Signal(), calls.result
        m.d.sync += ended.eq(calls.ended)
        _, left, top, width, height = words
        inside = (left <= x) & (x < left + width) & (top <= y) & (y < top + height)
        well = ended & (result == Result.OK)
        with m.If(well & (call == Call.VM_CREATE.value)):
            m.d.comb += self._claim((owner == words[0]) == inside, "P4-RECTANGLE")
        with m.If(well & (call == Call.VM_DESTROY.value)):
            m.d.comb += self._claim(owner != words[0], "P4-GONE")

        # P5
        clean = Signal()
        status = data.View(STATUS_REPLY, inputs.reply.data)
        with m.If(accepted & (last_op == LaneOp.STATUS)):
            m.d.sync += clean.eq(status.clean)
        with m.Elif(sent & to_watched & (op != LaneOp.STATUS)):
            m.d.sync += clean.eq(0)
        with m.If(lane.command.valid & to_watched & (op == LaneOp.FREE)):
            m.d.comb += self._claim(clean, "P5-FREE")

        # P6
        authentic, aborted, resumed = Signal(), Signal(), Signal()
        was_start = Signal()
        m.d.sync += was_start.eq(dut.load.start)
        launch = data.View(LAUNCH, lane.command.payload.data)
        of_vm = launch.owner == self.vm
        launched = lane.command.valid & (op == LaneOp.LAUNCH)
        with m.If(dut.load.start & ~was_start):
            m.d.sync += aborted.eq(inputs.abort)
        with m.Elif(calls.loading & inputs.abort):
            m.d.sync += aborted.eq(1)
        with m.If(calls.loading & inputs.load_done & (words[0] == self.vm)):
            m.d.sync += [
                authentic.eq((inputs.load_result == Result.OK) & ~aborted & ~inputs.abort),
                resumed.eq(inputs.load_resumed),
            ]
        with m.Elif(sent & (op == LaneOp.LAUNCH) & of_vm):
            m.d.sync += authentic.eq(0)
        with m.Elif(sent & (op == LaneOp.CLAIM) & (claim.owner == self.vm)):
            m.d.sync += authentic.eq(0)
        with m.If(launched & of_vm):
            m.d.comb += [
                self._claim(authentic & ~named, "P6-LAUNCH"),
                self._claim((launch.resumed == resumed) & (launch.reserved == 0), "P6-LAUNCH"),
            ]

        # P8, P9
        changed, values_changed = Signal(), Signal()
        was_values = Signal(128)
        m.d.sync += was_values.eq(calls.values)
        m.d.comb += values_changed.eq(started & (calls.values.as_value() != was_values))
        doing = lane.command.valid | dut.update.valid | dut.load.start | (owner != was_owner)
        with m.If(~calls.busy):
            m.d.sync += changed.eq(0)
        with m.Elif(doing):
            m.d.sync += changed.eq(1)
        with m.If(ended):
            refused = Cat(result == code for code in REFUSALS).any()
            known = (call != 0) & (call <= Call.FAULT_CLEAR.value)
            m.d.comb += [
                self._claim(~(refused & (changed | values_changed)), "P8-REFUSED"),
                self._claim(Cat(result == code for code in ENDS).any(), "P8-CODE"),
                self._claim((result == Result.UNKNOWN_CALL) == ~known, "P8-CODE"),
            ]
        with m.If(values_changed):
            m.d.comb += self._claim(call == Call.STATUS.value, "P9-VALUES")

        # P10
        for n in range(config.channels):
            with m.If(dut.update.valid & (dut.update.channel == n) & (rows[n].owner != 0)):
                m.d.comb += self._claim(dut.update.row.owner == 0, "P10-UPDATE")

        m.d.comb += Cover(ended & (result == Result.UNKNOWN_CALL), "a call ends")
        if self.deep:
            m.d.comb += [
                Cover(
                    well & (call == Call.VM_CREATE.value) & (owner != 0), "a VM owns the cluster"
                ),
                Cover(launched & of_vm, "a VM is launched"),
                Cover(well & (call == Call.VM_DESTROY.value), "a VM is destroyed"),
                Cover(ended & (result == Result.OCCUPIED), "a rectangle is refused"),
                Cover(ended & (result == Result.GUEST_CHANNEL_TAKEN), "a channel is refused"),
                Cover(ended & (result == Result.CLUSTER_FAULT), "a cluster disobeys"),
            ]
        return m

    def _claim(self, condition: Any, name: str) -> Any:
        """Return the assertion, or nothing if it is not asked for."""
        return Assert(condition, name) if name in self.claims else ()

    def _running_call(self, m: Module, calls: Any) -> tuple[Signal, list[Signal]]:
        """Return the command and the arguments of the last call that began."""
        call = Signal(32)
        words = [Signal(32, name=f"word{n}") for n in range(5)]
        with m.If(calls.start & ~calls.busy):
            m.d.sync += call.eq(calls.command)
            m.d.sync += [word.eq(calls.arguments[n]) for n, word in enumerate(words)]
        return call, words

    def _coordinates(self, cluster: Value) -> tuple[Value, Value]:
        return cluster // self.config.width, cluster % self.config.width
