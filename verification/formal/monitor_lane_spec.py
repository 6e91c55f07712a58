# SPDX-License-Identifier: Apache-2.0
"""What the security monitor says to the clusters, and when."""

from amaranth import Module, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import data

from blindvisor.hdl.abi import Call, Result
from blindvisor.hdl.ionet.flits import CLAIM, LAUNCH, LaneOp
from blindvisor.verification.formal.monitor_environment import MonitorEnvironment

__all__ = ["MonitorLaunchSpec", "MonitorLoaderSpec", "MonitorOwnersSpec"]


class MonitorOwnersSpec(MonitorEnvironment):
    """Who becomes the owner of a cluster.

    Claims
    ------
    P3-EDGE
        The owner of a cluster changes only when the cluster has just accepted CLAIM (to the
        claim's owner) or FREE (to nobody).
    P4-CLAIM
        CLAIM goes only to a cluster without an owner, in the claimed rectangle, which is in the
        mesh, for a VM that exists.
    """

    script = (
        (Call.VM_CREATE, 1, 1, 0, 1, 1),
        (Call.VM_CREATE, 2, 0, 0, 2, 1),
        (Call.VM_DESTROY, 1),
    )

    def elaborate(self, platform: object) -> Module:
        """Compare changes with what was said just before."""
        m = Module()
        seen = self._surround(m)
        owner, config, command = seen.owner, self.config, seen.dut.lane.command
        was_owner, was_accepted = Signal(8), Signal()
        was_op, was_claimer = Signal(LaneOp), Signal(8)
        m.d.sync += [
            was_owner.eq(owner),
            was_accepted.eq(seen.accepted),
            was_op.eq(seen.last_op),
            was_claimer.eq(seen.last_claim.owner),
        ]
        claimed = was_accepted & (was_op == LaneOp.CLAIM) & (owner == was_claimer)
        freed = was_accepted & (was_op == LaneOp.FREE) & (owner == 0)
        with m.If(seen.started & (owner != was_owner)):
            m.d.comb += Assert(claimed | freed, "P3-EDGE")

        claim = data.View(CLAIM, command.payload.data)
        y, x = self.watched // config.width, self.watched % config.width
        right, bottom = claim.origin_x + claim.last_x, claim.origin_y + claim.last_y
        with m.If(command.valid & seen.to_watched & (command.payload.op == LaneOp.CLAIM)):
            m.d.comb += [
                Assert(owner == 0, "P4-CLAIM"),
                Assert((claim.owner != 0) & (claim.owner <= config.vms), "P4-CLAIM"),
                Assert((claim.origin_x <= x) & (x <= right), "P4-CLAIM"),
                Assert((claim.origin_y <= y) & (y <= bottom), "P4-CLAIM"),
                Assert((right < config.width) & (bottom < config.height), "P4-CLAIM"),
            ]
        created = seen.well & (seen.call == Call.VM_CREATE.value)
        destroyed = seen.well & (seen.call == Call.VM_DESTROY.value)
        m.d.comb += [
            Cover(created & (owner != 0), "a VM owns a cluster"),
            Cover(seen.ended & (seen.result == Result.OCCUPIED), "a rectangle is refused"),
            Cover(destroyed & (owner == 0), "a VM is destroyed"),
        ]
        return m


class MonitorLoaderSpec(MonitorEnvironment):
    """What the loader can say.

    Claims
    ------
    P3-LOADER
        During a load nothing but ADDRESS and WRITE is sent, during a save nothing but ADDRESS and
        READ, each to one cluster. Once the replies to them have come, none of the three is.
    """

    script = (
        (Call.VM_CREATE, 1, 1, 0, 1, 1),
        (Call.VM_LOAD, 1, 144),
        (Call.VM_START, 1),
        (Call.VM_FREEZE, 1),
        (Call.VM_SAVE, 1),
    )

    def elaborate(self, platform: object) -> Module:
        """Look at every command, by whether a load or a save runs."""
        m = Module()
        seen = self._surround(m)
        calls, command = seen.dut.calls, seen.dut.lane.command
        loading, saving = calls.loading, calls.saving
        placing = (command.payload.op == LaneOp.WRITE) | (command.payload.op == LaneOp.ADDRESS)
        reading = (command.payload.op == LaneOp.READ) | (command.payload.op == LaneOp.ADDRESS)
        loaded_lately = Signal()
        with m.If(loading):
            m.d.sync += loaded_lately.eq(1)
        with m.Elif(seen.owed == 0):
            m.d.sync += loaded_lately.eq(0)
        with m.If(command.valid & (loading | loaded_lately)):
            m.d.comb += Assert(placing & command.payload.named, "P3-LOADER")
        with m.Elif(command.valid & saving):  # which is until the last reply has come
            m.d.comb += Assert(reading & command.payload.named, "P3-LOADER")
        with m.Elif(command.valid):
            m.d.comb += Assert(~(placing | reading), "P3-LOADER")
        m.d.comb += [
            Cover(seen.sent & loading, "the loader speaks"),
            Cover(seen.well & (seen.call == Call.VM_LOAD.value), "a load ends well"),
            Cover(seen.sent & saving, "the loader speaks in a save"),
            Cover(seen.well & (seen.call == Call.VM_SAVE.value), "a save ends well"),
        ]
        return m


class MonitorLaunchSpec(MonitorEnvironment):
    """When a VM starts.

    Claims
    ------
    P6-LAUNCH
        LAUNCH of a VM comes only after the loader's OK for it, without an abort since the call
        began, and once only. It says that the VM is restored exactly if the loader said so.
    """

    script = ((Call.VM_CREATE, 1, 1, 0, 1, 1), (Call.VM_LOAD, 1, 144), (Call.VM_START, 1))

    def elaborate(self, platform: object) -> Module:
        """Remember how the last load of the VM ended."""
        m = Module()
        seen = self._surround(m)
        inputs, loading, command = self.inputs, seen.dut.calls.loading, seen.dut.lane.command
        op, about = command.payload.op, command.payload.data
        launch = data.View(LAUNCH, about)
        of_vm = launch.owner == self.vm
        authentic, aborted, resumed = Signal(), Signal(), Signal()
        with m.If(~seen.dut.calls.busy):
            m.d.sync += aborted.eq(0)
        with m.Elif(inputs.abort):
            m.d.sync += aborted.eq(1)
        with m.If(loading & inputs.load_done & (seen.words[0] == self.vm)):
            m.d.sync += [
                authentic.eq((inputs.load_result == Result.OK) & ~aborted & ~inputs.abort),
                resumed.eq(inputs.load_resumed),
            ]
        with m.Elif(seen.sent & (op == LaneOp.LAUNCH) & of_vm):
            m.d.sync += authentic.eq(0)
        with m.Elif(seen.sent & (op == LaneOp.CLAIM) & (data.View(CLAIM, about).owner == self.vm)):
            m.d.sync += authentic.eq(0)
        launched = command.valid & (op == LaneOp.LAUNCH) & of_vm
        with m.If(launched):
            m.d.comb += [
                Assert(authentic & ~command.payload.named, "P6-LAUNCH"),
                Assert((launch.resumed == resumed) & (launch.reserved == 0), "P6-LAUNCH"),
            ]
        m.d.comb += Cover(launched & seen.sent, "a VM is launched")
        return m
