# SPDX-License-Identifier: Apache-2.0
"""What the security monitor's tables hold at the end of a call, and in between."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data

from blindvisor.hdl.abi import Call, Result, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.passes import Others
from blindvisor.hdl.ionet.flits import STATUS_REPLY, LaneOp
from blindvisor.verification.formal.monitor_calls_spec import REFUSALS
from blindvisor.verification.formal.monitor_environment import MonitorEnvironment, Seen

__all__ = ["MonitorTablesSpec"]

PASSES = (
    "POWER_ON_CLEAN",
    "POWER_ON_FREE",
    "VACANT",
    "CLAIM",
    "LAUNCH",
    "FREEZE",
    "RESUME",
    "STOP",
    "DRAIN",
    "SCRUB",
    "CLEAN",
    "FREE",
    "GRANT",
    "REVOKED",
    "STATUS_CLUSTER",
    "STATUS_FAULTS",
    "FAULT_CLEAR",
)
LENDING = ("LEND", "LENT", "RETURNED")
HOLDING = (
    "ENTERED",
    *LENDING,
    "CREATED",
    "DESTROY",
    "TAKE_CHANNELS",
    "FREED",
    "GRANTED",
    "REVOKE",
    *PASSES[3:-3],
)
"""States in which there is a VM, and nothing to check about it any more."""
POWERING_ON = ("POWER_ON", *PASSES[:2])
WALKING = ("LOOKUP", "COMPARE", "COMMAND", "REPLY", "STEP")
SCRUBBING = ("TAKE_CHANNELS", "STOP", "DRAIN", "SCRUB", "CLEAN", "FREE")
DESTROYING = ("DESTROY", *SCRUBBING, "FREED")
SAVING = ("FETCH", "CHECK", *LENDING, "END")
STATES = {
    Call.VM_CREATE: ("VACANT", "ENTER", "ENTERED", "CLAIM", "CREATED"),
    Call.VM_START: ("LAUNCH",),
    Call.VM_FREEZE: ("FREEZE",),
    Call.VM_RESUME: ("RESUME",),
    Call.CHANNEL_GRANT: ("GRANT", "GRANTED"),
    Call.CHANNEL_REVOKE: ("REVOKE", "REVOKED"),
    Call.STATUS: ("STATUS", "STATUS_CLUSTER", "STATUS_FAULTS"),
    Call.FAULT_CLEAR: ("FAULT_CLEAR",),
}
NEEDED = {
    VmState.READY: ("LAUNCH",),
    VmState.RUNNING: ("FREEZE",),
    VmState.FROZEN: ("RESUME",),
    VmState.FAULTED: (*SCRUBBING, "FREED"),
}
LENT = {Call.VM_LOAD: VmState.CREATED, Call.VM_SAVE: VmState.FROZEN}
"""State of the VM while the loader has the lane."""
USABLE = (VmState.CREATED, VmState.READY, VmState.RUNNING, VmState.FROZEN)


class MonitorTablesSpec(MonitorEnvironment):
    """Table of owners, records and calls agree.

    Claims
    ------
    P4-RECTANGLE
        After a VM_CREATE that ended well, the VM owns the clusters of its rectangle and no other.
    P4-GONE
        After a VM_DESTROY that ended well, the VM owns no cluster.
    P4-RECORD
        A VM owns clusters of the rectangle in its record alone; all of them, if it can be used.
    P5-FREE
        FREE goes only to a cluster that has just said that it is clean, with no other command to
        it since.
    P8-REFUSED
        A call that ends with a refusal has spoken to no cluster, no channel and not to the
        loader, and has changed neither owners, nor records, nor values.
    P8-SAVE
        A VM_SAVE, however it ends, has changed none of them and no channel: the slot is what it
        was, FROZEN if it was saved.

    Assumed besides: the loader says nothing once it is done (proof ``loader``, P3-SILENT).

    The other assertions are lemmas: what holds inside in each state. They make the claims
    inductive, and are proved with them.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    deep : :class:`bool`
        Whether to ask for covers that take whole calls, which large machines do in too many steps.
    """

    script = (
        (Call.VM_CREATE, 1, 1, 0, 1, 1),
        (Call.VM_CREATE, 2, 0, 0, 2, 1),
        (Call.VM_DESTROY, 1),
    )

    def __init__(self, config: MachineConfig, *, deep: bool = True) -> None:
        self.deep = deep
        super().__init__(config)

    def elaborate(self, platform: object) -> Module:
        """State claims and lemmas."""
        m = Module()
        self.seen = seen = self._surround(m)
        y, x = self.watched // self.config.width, self.watched % self.config.width
        clean = self._hear(m, seen)
        done = seen.within("RETURNED") & self.inputs.loader_command.valid
        m.d.comb += Assume(~done, "the loader is silent when it is done")
        inside, passed = self._pass_lemmas(m, seen, x, y)
        self._word_lemmas(m, seen)
        self._record_lemmas(m, seen, x, y)
        self._state_lemmas(m, seen, x, y, inside, passed, clean)
        self._endings(m, seen, x, y)
        if not self.deep:
            m.d.comb += Cover(seen.passing("STEP") & ~seen.within("POWER_ON"), "a pass goes on")
            return m
        created = seen.well & (seen.call == Call.VM_CREATE.value)
        m.d.comb += [
            Cover(created & (seen.owner != 0), "a VM owns a cluster"),
            Cover(seen.ended & (seen.result == Result.OCCUPIED), "a rectangle is refused"),
            Cover(seen.well & (seen.call == Call.VM_DESTROY.value), "a VM is destroyed"),
        ]
        return m

    def _hear(self, m: Module, seen: Seen) -> Signal:
        """Tell whether the cluster has just said that it is clean; P5."""
        lane = seen.dut.lane
        op = lane.command.payload.op
        clean = Signal()
        status = data.View(STATUS_REPLY, self.inputs.reply.data)
        with m.If(seen.accepted & (seen.last_op == LaneOp.STATUS)):
            m.d.sync += clean.eq(status.clean)
        with m.Elif(seen.sent & seen.to_watched & (op != LaneOp.STATUS)):
            m.d.sync += clean.eq(0)
        powering_on = seen.within("POWER_ON_FREE")
        with m.If(lane.command.valid & seen.to_watched & (op == LaneOp.FREE)):
            m.d.comb += [
                Assert(clean | ~(powering_on | (seen.owner == self.vm)), "P5-FREE"),
                Assert(powering_on | (seen.owner != 0), "P5-FREE"),  # of any VM, so of vm
            ]
        return clean

    def _pass_lemmas(self, m: Module, seen: Seen, x: Value, y: Value) -> tuple[Value, Value]:
        """Where a pass is; return whether it comes by the cluster, and whether it has done so."""
        order, registers, config = seen.sweep.order, seen.registers, self.config
        column, row = registers["sweep.$signal"], registers["sweep.row"]
        cluster = seen.sweep.cluster
        first_y, first_x = order.first // config.width, order.first % config.width
        walking, here = seen.passing(*WALKING), cluster == self.watched
        now_y, now_x = first_y + row, first_x + column
        inside = (
            (first_x <= x)
            & (x < first_x + order.width)
            & (first_y <= y)
            & (y < first_y + order.height)
        )
        before = (y < now_y) | ((y == now_y) & (x < now_x))
        passed = inside & (
            seen.passing("PASSED") | (walking & before) | (seen.passing("STEP") & here)
        )
        # Rectangles of other VMs' records may change, as far as these lemmas know.
        constant = (registers["vm"] == self.vm) | seen.within(*PASSES[:3], *PASSES[-3:])
        walks = seen.within(*PASSES)
        m.d.comb += [
            Assert(walks | seen.passing("IDLE"), "lemma: passes belong to states"),
            Assert(~walking | seen.passing("COMMAND") | ~order.broadcast, "lemma: broadcasts"),
            Assert(
                ~(walking & constant)
                | order.broadcast
                | (
                    (cluster == now_y * config.width + now_x)
                    & (column < order.width)
                    & (row < order.height)
                    & (order.first < config.clusters)
                    & (first_x + order.width <= config.width)
                    & (first_y + order.height <= config.height)
                ),
                "lemma: place of a pass",
            ),
        ]
        lent = seen.within(*LENDING)
        waits = seen.passing("REPLY")
        m.d.comb += [
            Assert(registers["unanswered"] == seen.owed, "lemma: replies are counted"),
            Assert(lent | (seen.owed == waits), "lemma: one command at a time"),
            Assert(
                ~waits | ((seen.last_op == order.op) & (seen.about_watched == here)),
                "lemma: what is waited for",
            ),
            Assert(
                ~(seen.passing("COMPARE") & here & walking) | (seen.tables.owner == seen.owner),
                "lemma: what was looked up",
            ),
        ]
        # From COMMAND on, the cluster is the holder's (SERVE excepted).
        m.d.comb += Assert(
            ~(seen.passing("COMMAND", "REPLY") & here & ~order.broadcast)
            | (order.others == Others.SERVE)
            | (seen.owner == order.holder),
            "lemma: commands go to the holder's clusters",
        )
        m.d.comb += Assert(
            ~(seen.within("VACANT") & seen.passing("COMMAND", "REPLY")), "lemma: a look, no word"
        )
        return inside & ~order.broadcast, passed & ~order.broadcast

    def _word_lemmas(self, m: Module, seen: Seen) -> None:
        """The call is what it was when it began, and its VM exists."""
        registers, words = seen.registers, seen.words
        kept = [registers[f"argument{n}"] for n in range(5)]
        idle = seen.within("POWER_ON", "POWER_ON_CLEAN", "POWER_ON_FREE", "IDLE")
        began = ~idle
        vm = registers["vm"]
        by_vm = Cat(seen.call == n for n in range(1, Call.VM_DESTROY.value + 1)).any()
        m.d.comb += [
            Assert(~began | (registers["command"] == seen.call), "lemma: command"),
            *(Assert(~began | (a == b), "lemma: words") for a, b in zip(kept, words, strict=True)),
            Assert(~(began & by_vm) | (vm == words[0][:8]), "lemma: VM of the call"),
            Assert(
                ~(began & (seen.call == Call.CHANNEL_GRANT.value)) | (vm == words[1][:8]),
                "lemma: VM of the call",
            ),
            *(
                Assert(~seen.within(*names) | (seen.call == call.value), "lemma: state of a call")
                for call, names in STATES.items()
            ),
            Assert(
                ~seen.within("STATUS_CLUSTER", "STATUS_FAULTS") | (words[1] < self.config.clusters),
                "lemma: index",
            ),
            Assert(~seen.within("FAULT_CLEAR") | (words[0] < self.config.clusters), "lemma: index"),
        ]

    def _record_lemmas(self, m: Module, seen: Seen, x: Value, y: Value) -> None:
        """What the memories hold, and what is read of them."""
        config, record, vm = self.config, seen.record, seen.registers["vm"]
        was_address, was_written = Signal(8), Signal()
        m.d.sync += [was_address.eq(seen.tables.vm), was_written.eq(seen.tables.record_write)]
        cleared = seen.registers["tables.cleared"]
        ready = seen.tables.ready
        about = vm == self.vm
        settled = (was_address == vm) & ~was_written
        owned = ready & (seen.owner == self.vm)
        usable = Cat(record.state == state for state in USABLE).any()
        creating = seen.within("CREATED")
        m.d.comb += [
            Assert(seen.within("POWER_ON") | seen.started, "lemma: time passes"),
            Assert(seen.within("POWER_ON") | ready, "lemma: tables are cleared"),
            Assert(
                ~seen.within(*POWERING_ON) | ((vm == 0) & (was_address == 0)),
                "lemma: no VM at power-on",
            ),
            Assert(
                ~(seen.within("POWER_ON") & (self.watched < cleared)) | (seen.cell == 0),
                "lemma: cleared",
            ),
            Assert(
                ~(seen.within("POWER_ON") & (self.vm < cleared)) | (record.as_value() == 0),
                "lemma: cleared",
            ),
            Assert(
                ~seen.within("POWER_ON_CLEAN", "POWER_ON_FREE")
                | ((seen.cell == 0) & (record.as_value() == 0)),
                "lemma: nothing is owned at power-on",
            ),
            Assert(
                ~(ready & seen.started & (was_address == self.vm) & ~was_written)
                | (seen.tables.record.as_value() == record.as_value()),
                "lemma: what is read of a record",
            ),
            Assert(
                ~seen.within("CHECK", *LENDING, "CREATED", "DESTROY", *PASSES[2:]) | settled,
                "lemma: records are read in time",
            ),
            Assert(~ready | (record.state == VmState.EMPTY) | self._good(record), "P4-RECORD"),
            Assert(~owned | (record.state != VmState.EMPTY), "P4-RECORD"),
            Assert(~owned | _inside(record, x, y), "P4-RECORD"),
            Assert(~(ready & usable & _inside(record, x, y)) | owned, "P4-RECORD"),
            Assert(~(creating & about) | owned | ~_inside(record, x, y), "lemma: all is claimed"),
            Assert(~ready | (seen.owner <= config.vms), "lemma: owners exist"),
        ]
        channel = seen.registers["channel"]
        for n in range(config.channels):
            granted = seen.rows[n].owner
            taken = (seen.within("TAKE_CHANNELS") & (channel > n)) | seen.within(
                *SCRUBBING[1:], "FREED"
            )
            m.d.comb += [
                Assert(granted <= config.vms, "lemma: owners exist"),
                Assert(
                    (granted != self.vm) | (record.state != VmState.EMPTY) | ~ready,
                    "lemma: owners are VMs",
                ),
                Assert(~(taken & about) | (granted != self.vm), "lemma: channels are taken"),
                Assert(ready | (granted == 0), "lemma: no channels at power-on"),
            ]

    def _good(self, record: Any) -> Value:
        config = self.config
        return (
            (record.width != 0)
            & (record.height != 0)
            & (record.x + record.width <= config.width)
            & (record.y + record.height <= config.height)
            & (record.state.as_value() <= VmState.FAULTED.value)
        )

    def _state_lemmas(
        self, m: Module, seen: Seen, x: Value, y: Value, inside: Value, passed: Value, clean: Signal
    ) -> None:
        """What each state may count on."""
        record, owner = seen.record, seen.owner
        config, words, vm = self.config, seen.words, seen.registers["vm"]
        about = vm == self.vm
        usable = Cat(record.state == state for state in USABLE).any()
        here = seen.sweep.cluster == self.watched
        there = seen.passing("FAILED") | (seen.passing("REPLY") & here)
        cleaning = seen.within("CLEAN") & about
        freeing = seen.within("FREE") & about & inside
        powering = seen.within("POWER_ON_FREE")
        asked = _asked(words, x, y)
        fits = (
            (words[3] != 0)
            & (words[4] != 0)
            & (words[1] + words[3] <= config.width)
            & (words[2] + words[4] <= config.height)
        )
        same = (
            (record.x == words[1])
            & (record.y == words[2])
            & (record.width == words[3])
            & (record.height == words[4])
        )
        entering = seen.within("VACANT", "ENTER")
        claiming = seen.within("ENTERED", "CLAIM", "CREATED")
        ours = owner == vm
        held = Mux(passed, vm, 0)
        named = (vm != 0) & (vm <= config.vms)
        called = seen.registers["command"] == Call.VM_CREATE.value
        m.d.comb += [
            Assert(~(entering | claiming) | (fits & named & called), "lemma: VM_CREATE"),
            Assert(~(entering & about) | (record.state == VmState.EMPTY), "lemma: VM_CREATE"),
            Assert(
                ~(claiming & about) | ((record.state == VmState.FAULTED) & same),
                "lemma: claimed rectangle",
            ),
            Assert(~(seen.within("VACANT") & passed) | (owner == 0), "lemma: vacant"),
            Assert(~(seen.within("ENTER", "ENTERED") & asked) | (owner == 0), "lemma: vacant"),
            Assert(
                ~(seen.within("CLAIM") & about & asked & ~seen.passing("FAILED")) | (owner == held),
                "lemma: claimed so far",
            ),
            Assert(~seen.within(*HOLDING) | named, "lemma: the VM exists"),
            *(
                Assert(~(seen.within(*names) & about) | (record.state == state), "lemma: state")
                for state, names in NEEDED.items()
            ),
            *(
                Assert(
                    ~(seen.within(*LENDING) & about & (seen.call == call.value))
                    | (record.state == state),
                    "lemma: state",
                )
                for call, state in LENT.items()
            ),
            Assert(
                ~seen.within(*LENDING) | Cat(seen.call == call.value for call in LENT).any(),
                "lemma: state of a call",
            ),
            Assert(~(seen.within("GRANT", "GRANTED") & about) | usable, "lemma: state"),
            Assert(
                ~(seen.within("DESTROY", "REVOKE", "REVOKED") & about)
                | (record.state != VmState.EMPTY),
                "lemma: state",
            ),
            Assert(~(cleaning & passed & ours) | clean, "lemma: clean so far"),
            Assert(~(freeing & ~passed & ours & ~there) | clean, "lemma: clean until freed"),
            Assert(~(seen.within("FREE") & about & passed) | ~ours, "lemma: freed so far"),
            Assert(~(seen.within("FREED") & about) | ~ours, "lemma: all is freed"),
            Assert(~(seen.within("POWER_ON_CLEAN") & passed) | clean, "lemma: clean so far"),
            Assert(
                ~(powering & ~passed & ~there) | clean,
                "lemma: clean until freed",
            ),
        ]

    def _endings(self, m: Module, seen: Seen, x: Value, y: Value) -> None:
        """What calls have done when they end."""
        dut, words, outcome = seen.dut, seen.words, seen.registers["_outcome"]
        was_owner, was_values = Signal(8), Signal(128)
        values = dut.calls.values.as_value()
        m.d.sync += [was_owner.eq(seen.owner), was_values.eq(values)]
        changed, altered = Signal(), Signal()
        altering = (
            dut.update.valid
            | seen.tables.record_write
            | seen.tables.owner_write
            | (values != was_values)
        )
        doing = altering | dut.lane.command.valid | dut.load.start
        with m.If(~dut.calls.busy):
            m.d.sync += [changed.eq(0), altered.eq(0)]
        with m.Else():
            m.d.sync += [changed.eq(changed | doing), altered.eq(altered | altering)]
        verdict = seen.registers["$signal"]  # of the loader: the only one without a name
        refused = Cat(seen.result == code for code in REFUSALS).any()
        refusing = Cat(outcome == code for code in REFUSALS).any()
        create = seen.call == Call.VM_CREATE.value
        destroy = seen.call == Call.VM_DESTROY.value
        save = seen.call == Call.VM_SAVE.value
        asked, ours = _asked(words, x, y), seen.owner == words[0]
        mine = words[0] == self.vm
        fine = seen.within("END") & (outcome == Result.OK)
        scrubbing = seen.within(*DESTROYING)
        untouched = seen.within("FETCH", "CHECK", "VACANT", "STATUS")
        m.d.comb += [
            Assert(~(seen.well & create & mine) | (ours == asked), "P4-RECTANGLE"),
            Assert(~(seen.well & destroy & mine) | ~ours, "P4-GONE"),
            Assert(~(seen.ended & refused) | ~changed, "P8-REFUSED"),
            Assert(~(seen.ended & save) | ~altered, "P8-SAVE"),
            Assert(~(fine & create & mine) | (ours == asked), "lemma: end of VM_CREATE"),
            Assert(~(fine & destroy & mine) | ~ours, "lemma: end of VM_DESTROY"),
            Assert(
                ~seen.ended | (seen.within("IDLE") & (seen.result.as_value() == outcome)),
                "lemma: ended",
            ),
            Assert(
                ~Cat(verdict == code for code in REFUSALS).any(), "lemma: loads are not refused"
            ),
            Assert(~(dut.calls.busy & save & seen.started) | seen.within(*SAVING), "lemma: saves"),
            Assert(~seen.within(*POWERING_ON) | (seen.call == 0), "lemma: no call at power-on"),
            Assert(~(seen.within(*SAVING) & save & (altered | altering)), "lemma: saves"),
            Assert(~(scrubbing & refusing), "lemma: who scrubs does not refuse"),
            Assert(~(scrubbing & create) | (outcome != Result.OK), "lemma: failed VM_CREATE"),
            Assert(~(seen.within("END") & refusing & (changed | doing)), "lemma: refusals"),
            Assert(~(untouched & changed), "lemma: nothing is done yet"),
            Assert(seen.within("END") | (values == was_values), "lemma: values are set at the end"),
        ]


def _inside(record: Any, x: Value, y: Value) -> Value:
    return (
        (record.x <= x)
        & (x < record.x + record.width)
        & (record.y <= y)
        & (y < record.y + record.height)
    )


def _asked(words: list[Signal], x: Value, y: Value) -> Value:
    _, left, top, width, height = words
    return (left <= x) & (x < left + width) & (top <= y) & (y < top + height)
