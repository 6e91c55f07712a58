# SPDX-License-Identifier: Apache-2.0
"""Which result each call of the security monitor has, what it tells, and what a slot then holds."""

from typing import Any

from amaranth import Array, C, Cat, Module, Mux, Shape, Signal, Value
from amaranth.hdl import Assert
from amaranth.lib import data

from blindvisor.hdl.abi import Call, ChannelKind, ClusterState, Result, StatusKind, VmState
from blindvisor.hdl.iocluster.tables import VM_RECORD
from blindvisor.hdl.ionet.flits import FAULT_REPLY, STATUS_REPLY
from blindvisor.verification.formal.inner import states
from blindvisor.verification.formal.monitor_calls_spec import ENDS, REFUSALS
from blindvisor.verification.formal.monitor_ends_spec import NEXT, MonitorEndsSpec
from blindvisor.verification.formal.monitor_environment import Seen
from blindvisor.verification.formal.monitor_tables_spec import (
    DESTROYING,
    LENDING,
    PASSES,
    USABLE,
)

__all__ = ["MonitorResultsSpec"]

ALSO = {
    "POWER_ON": ("POWER_ON_CLEAN",),
    "POWER_ON_CLEAN": ("POWER_ON_FREE",),
    "POWER_ON_FREE": ("IDLE", "POWER_ON_CLEAN"),
    "IDLE": ("FETCH",),
    **dict.fromkeys(("DRAIN", "SCRUB", "CLEAN"), ("END",)),
}
"""Where states can lead besides the longest way."""
NEEDED = {
    Call.VM_LOAD: VmState.CREATED,
    Call.VM_SAVE: VmState.FROZEN,
    Call.VM_START: VmState.READY,
    Call.VM_FREEZE: VmState.RUNNING,
    Call.VM_RESUME: VmState.FROZEN,
}
"""State in which the VM must be."""
CHANGED = {"LAUNCH": VmState.RUNNING, "FREEZE": VmState.FROZEN, "RESUME": VmState.RUNNING}
"""State in which the VM is once all its clusters have been told."""
BROADCASTS = (*CHANGED, "STOP")
FINISHING = (*CHANGED, "REVOKED", "STATUS_FAULTS", "FAULT_CLEAR")
"""Passes that are the last of a call."""
GIVEN = tuple(code for code in ENDS if code not in REFUSALS)
"""What the loader may say."""
_CODE = Shape.cast(Result)


class MonitorResultsSpec(MonitorEndsSpec):
    """What is due, worked out beside the monitor from the words of the call and what was heard.

    Claims
    ------
    P8-RESULT
        A call ends with the code that is due: that of the first check that failed; else OCCUPIED
        if VM_CREATE came to a cluster with an owner; else CLUSTER_FAULT if a cluster refused or was
        too slow; else what the loader said, or ABORTED in place of its OK; else OK.
    P8-RECORD
        The slot of a VM holds what the calls have made of it, and nothing else changes it.
    P9-STATUS
        VALUE0..VALUE3 are the fields of what the last STATUS asked for, with zeros for the rest.
    P8-PATH
        A state is followed by one that can follow it (:data:`NEXT` and :data:`ALSO`).

    What is due of a call about another VM is not known: any VM is :attr:`vm`. All that
    :class:`MonitorEndsSpec` claims and assumes is claimed and assumed here.
    """

    def elaborate(self, platform: object) -> Module:
        """Follow each call."""
        m = super().elaborate(platform)
        seen, inputs = self.seen, self.inputs
        # Counts of denials may be anything; these inputs mean nothing to STATUS.
        m.d.comb += seen.dut.denied.eq(inputs.command)
        self._path(m, seen)
        given, ended = self._given(m, seen)
        self._result(m, seen, given, ended)
        self._values(m, seen)
        self._record(m, seen, given, ended)
        return m

    def _path(self, m: Module, seen: Seen) -> None:
        state = seen.registers["fsm_state"]
        was, numbers = Signal.like(state, init=states(state)["POWER_ON"]), states(state)
        m.d.sync += was.eq(state)
        for name in (*NEXT, "POWER_ON", *PASSES[:2]):
            following = (*NEXT.get(name, ()), *ALSO.get(name, ()))
            with m.If(was == numbers[name]):
                m.d.comb += Assert(seen.within(name, *following), "P8-PATH")
        told = seen.within(*BROADCASTS) & seen.passing("FAILED")
        m.d.comb += Assert(~told, "lemma: nobody refuses a broadcast")

    def _given(self, m: Module, seen: Seen) -> tuple[Value, Value]:
        """Return what a load or save comes to, and whether it does so in this cycle."""
        inputs, registers, dut = self.inputs, seen.registers, seen.dut
        save = seen.call == Call.VM_SAVE.value
        images = save | (seen.call == Call.VM_LOAD.value)
        early = seen.within("FETCH", "CHECK", "LEND", "LENT")
        returned = seen.within("RETURNED")
        aborted = Signal()
        with m.If(~dut.calls.busy):
            m.d.sync += aborted.eq(0)
        with m.Elif(inputs.abort & images & (early | (save & returned))):
            m.d.sync += aborted.eq(1)
        said, resumed = Signal(_CODE, init=Result.CLUSTER_FAULT.value), Signal()
        with m.If(seen.within("LENT") & inputs.load_done):
            known = Cat(inputs.load_result == code for code in GIVEN).any()
            m.d.sync += [
                said.eq(Mux(known, inputs.load_result.as_value(), Result.CLUSTER_FAULT)),
                resumed.eq(inputs.load_resumed),
            ]
        given = Signal(_CODE)
        m.d.comb += given.eq(Mux(aborted & (said == Result.OK), Result.ABORTED, said))
        waiting = save & (given == Result.OK) & inputs.saved_waiting
        ended = returned & (seen.owed == 0) & ~waiting
        self.aborted, self.resumed = aborted, resumed
        was_returned, was_ended, was_save = Signal(), Signal(), Signal()
        was_ok, lent, done = Signal(), Signal(), Signal()
        m.d.sync += [
            was_returned.eq(returned),
            was_ended.eq(ended),
            was_save.eq(save),
            was_ok.eq(given == Result.OK),
            lent.eq(seen.within("LEND", "LENT")),
            done.eq(Mux(seen.within("LEND"), 0, inputs.load_done)),
        ]
        left = seen.within("END") | (seen.within("DESTROY") & ~was_save & ~was_ok)
        busy = Signal()
        m.d.sync += busy.eq(seen.within("LEND") & inputs.load_busy)
        m.d.comb += [
            Assert(~was_returned | ~was_ended | left, "P8-RESULT"),
            Assert(~was_returned | was_ended | returned, "P8-RESULT"),
            Assert(~lent | (returned == done), "P8-RESULT"),
            Assert(~busy | seen.within("LENT"), "P8-RESULT"),
            Assert(registers["$signal"] == said, "lemma: the loader's word"),
            Assert(registers["resumed"] == resumed, "lemma: the loader's word"),
            Assert(
                ~(early | returned) | (registers["aborted"] == aborted), "lemma: aborts are kept"
            ),
            Assert(~aborted | images, "lemma: what can be aborted"),
            Assert(~early | (registers["abortable"] == images), "lemma: what can be aborted"),
            Assert(~returned | (registers["abortable"] == save), "lemma: what can be aborted"),
            Assert(
                early
                | returned
                | seen.within("END")
                | (~registers["aborted"] & ~registers["abortable"]),
                "lemma: what can be aborted",
            ),
        ]
        return given, ended

    def _result(self, m: Module, seen: Seen, given: Value, ended: Value) -> None:
        words, dut = seen.words, seen.dut
        due = Signal(_CODE, init=Result.CLUSTER_FAULT.value)
        refusal, known = self._refusal(m, seen)
        status = self._asked(seen)
        power_on = seen.within(*PASSES[:2])
        with m.If(seen.within("CHECK")):
            with m.If(refusal != Result.NONE):
                m.d.sync += due.eq(refusal)
            with m.Elif(seen.call == Call.VM_DESTROY.value):
                m.d.sync += due.eq(Result.OK)
        with m.Elif(seen.within("VACANT") & seen.passing("FAILED")):
            m.d.sync += due.eq(Result.OCCUPIED)
        with m.Elif(seen.within(*PASSES) & ~power_on & seen.passing("FAILED")):
            m.d.sync += due.eq(Result.CLUSTER_FAULT)
        with m.Elif(seen.within(*FINISHING) & seen.passing("PASSED")):
            m.d.sync += due.eq(Result.OK)
        with m.Elif(seen.within("CREATED", "GRANTED")):
            m.d.sync += due.eq(Result.OK)
        with m.Elif(ended):
            m.d.sync += due.eq(given)
        with m.Elif(seen.within("STATUS") & ~status["cluster"]):
            asked = Cat(status.values()).any()
            m.d.sync += due.eq(Mux(asked, Result.OK, Result.BAD_ARGUMENT))
        checked, passed, was_refused = Signal(), Signal(), Signal()
        m.d.sync += [
            checked.eq(seen.within("CHECK")),
            was_refused.eq(refusal != Result.NONE),
            passed.eq(seen.within("STATUS") & ~status["cluster"]),
        ]
        spoken, was_outcome, was_result = Signal(), Signal(_CODE), Signal(_CODE)
        outcome, over = seen.registers["_outcome"], seen.passing("PASSED", "FAILED")
        m.d.sync += [
            spoken.eq(seen.within("CHECK", "CREATED", "GRANTED", "STATUS", "RETURNED") | over),
            was_outcome.eq(outcome),
        ]
        m.d.sync += was_result.eq(seen.result.as_value())
        here = seen.sweep.cluster == self.watched
        m.d.comb += [
            Assert(~(seen.ended & known) | (seen.result.as_value() == due), "P8-RESULT"),
            Assert(seen.ended | (seen.result.as_value() == was_result), "P8-RESULT"),
            Assert(
                ~(known & seen.within("END", *DESTROYING)) | (outcome == due), "lemma: what is due"
            ),
            Assert(~seen.started | spoken | (outcome == was_outcome), "P8-RESULT"),
            *(
                Assert(seen.registers[f"argument{n}"] == word, "P8-RESULT")
                for n, word in enumerate(words)
            ),
            Assert(seen.registers["command"] == seen.call, "P8-RESULT"),
            Assert(~(checked & known) | (seen.within("END") == was_refused), "P8-RESULT"),
            Assert(~passed | seen.within("END"), "P8-RESULT"),
            Assert(dut.calls.busy == ~seen.within("IDLE"), "P8-RESULT"),
            Assert(dut.calls.ended == seen.within("END"), "P8-RESULT"),
            Assert(
                ~(seen.within("VACANT") & seen.passing("FAILED") & here) | (seen.owner != 0),
                "P8-RESULT",
            ),
            Assert(
                ~seen.within("STATUS_CLUSTER", "STATUS_FAULTS") | (words[0] == 1),
                "lemma: STATUS of a cluster",
            ),
        ]

    def _refusal(self, m: Module, seen: Seen) -> tuple[Signal, Value]:
        """Return the first check that fails, and whether that is known."""
        config, words, call = self.config, seen.words, seen.call
        state = seen.record.state
        vm = Mux(call == Call.CHANNEL_GRANT.value, words[1], words[0])
        by_vm = Cat(call == n.value for n in (Call.VM_CREATE, Call.VM_DESTROY, *NEEDED)).any()
        grants = call == Call.CHANNEL_GRANT.value
        bad = (vm == 0) | (vm > config.vms)
        _, x, y, width, height = words
        fits = (
            (width != 0)
            & (height != 0)
            & (x + width <= config.width)
            & (y + height <= config.height)
        )
        row = Array(seen.rows[n] for n in range(config.channels))[words[0][:4]]
        no_channel = words[0] >= config.channels
        usable = Cat(state == one for one in USABLE).any()
        double = Cat(
            (seen.rows[n].owner == self.vm) & (seen.rows[n].guest == words[2][:4])
            for n in range(config.channels)
        ).any()
        checks: dict[Call, list[tuple[Any, Result]]] = {
            Call.VM_CREATE: [
                (bad, Result.BAD_VM),
                (state != VmState.EMPTY, Result.WRONG_STATE),
                (~fits, Result.BAD_RECTANGLE),
            ],
            Call.VM_DESTROY: [
                (bad, Result.BAD_VM),
                (state == VmState.EMPTY, Result.WRONG_STATE),
            ],
            Call.CHANNEL_GRANT: [
                (no_channel, Result.BAD_CHANNEL),
                (bad, Result.BAD_VM),
                (~usable, Result.WRONG_STATE),
                (words[2] >= config.guest_channels, Result.BAD_GUEST_CHANNEL),
                (row.owner != 0, Result.CHANNEL_TAKEN),
                (double, Result.GUEST_CHANNEL_TAKEN),
            ],
            Call.CHANNEL_REVOKE: [
                (no_channel, Result.BAD_CHANNEL),
                (row.owner == 0, Result.WRONG_STATE),
            ],
            Call.STATUS: [],
            Call.FAULT_CLEAR: [(words[0] >= config.clusters, Result.BAD_ARGUMENT)],
        }
        for one, needed in NEEDED.items():
            checks[one] = [(bad, Result.BAD_VM), (state != needed, Result.WRONG_STATE)]
        refusal = Signal(_CODE)
        m.d.comb += refusal.eq(Result.UNKNOWN_CALL)
        for one, entries in checks.items():
            with m.If(call == one.value):
                m.d.comb += refusal.eq(Result.NONE)
                for failed, code in reversed(entries):
                    with m.If(failed):
                        m.d.comb += refusal.eq(code)
        known = ~(by_vm | grants) | bad | (vm == self.vm) | (grants & no_channel)
        return refusal, known

    def _asked(self, seen: Seen) -> dict[str, Value]:
        """Return what STATUS asks for, if it is there."""
        config, (kind, index, *_) = self.config, seen.words
        there = {
            StatusKind.CLUSTER: index < config.clusters,
            StatusKind.VM: (index != 0) & (index <= config.vms),
            StatusKind.CHANNEL: index < config.channels,
            StatusKind.LOAD: index == 0,
        }
        return {one.name.lower(): (kind == one.value) & yes for one, yes in there.items()}

    def _values(self, m: Module, seen: Seen) -> None:
        config, inputs, record = self.config, self.inputs, seen.record
        index = seen.words[1]
        status = self._asked(seen)
        told, unknown = Signal(data.ArrayLayout(32, 4)), Signal()
        values = seen.dut.calls.values.as_value()
        heard, held, state = Signal(32), Signal(8), Signal(3)
        with m.If(inputs.reply_valid & ~seen.within(*LENDING)):
            m.d.sync += heard.eq(inputs.reply.data)
        with m.If(seen.passing("COMPARE")):
            here = seen.sweep.cluster == self.watched
            m.d.sync += held.eq(Mux(here, seen.owner, seen.tables.owner))
        faults = data.View(FAULT_REPLY, heard)
        numbers = (record.x, record.y, record.width, record.height)
        channel = Array(
            Cat(
                C(0, 0) | seen.rows[n].owner,
                C(0, 24),
                C(0, 32) | seen.rows[n].guest,
                C(_kind(config, n), 32),
                C(0, 32) | seen.dut.denied[n],
            )
            for n in range(config.channels)
        )[index[:4]]
        last = seen.registers["last_load"]
        with m.If(seen.within("STATUS")):
            m.d.sync += unknown.eq(0)
            with m.If(status["vm"]):
                m.d.sync += told.eq(
                    Cat(C(0, 32) | record.state.as_value(), *(C(0, 8) | n for n in numbers))
                )
                m.d.sync += unknown.eq(index != self.vm)
            with m.Elif(status["channel"]):
                m.d.sync += told.eq(channel)
            with m.Elif(status["load"]):
                m.d.sync += told.eq(last)
            with m.Else():
                m.d.sync += unknown.eq(unknown)
        with m.If(seen.within("STATUS_CLUSTER") & seen.passing("PASSED")):
            said = data.View(STATUS_REPLY, heard).state
            named = Cat(said == one.value for one in ClusterState).any()
            m.d.sync += state.eq(Mux(named, said, ClusterState.SCRUBBING.value))
        with m.If(seen.within("STATUS_FAULTS") & seen.passing("PASSED")):
            parts = (state, held, faults.count, faults.first)
            m.d.sync += [told.eq(Cat(C(0, 32) | part for part in parts)), unknown.eq(0)]
        m.d.comb += [
            Assert(unknown | (values == told.as_value()), "P9-STATUS"),
            Assert(
                ~(seen.dut.calls.busy & (seen.call == Call.STATUS.value))
                | (seen.registers["vm"] == index[:8]),
                "lemma: VM of a STATUS",
            ),
            Assert(
                ~(seen.within("STATUS") & (index == self.vm))
                | (seen.tables.record.as_value() == record.as_value()),
                "lemma: record of a STATUS",
            ),
            Assert(seen.sweep.reply == heard, "lemma: what was heard"),
            Assert(seen.sweep.holder == held, "lemma: what was looked up"),
            Assert(
                ~seen.within("STATUS_FAULTS") | (seen.registers["lifecycle"] == state),
                "lemma: state of the cluster",
            ),
        ]

    def _record(self, m: Module, seen: Seen, given: Value, ended: Value) -> None:
        """Follow the slot of the VM, and the result of the last load."""
        _, x, y, width, height = seen.words
        about, passed = seen.registers["vm"] == self.vm, seen.passing("PASSED")
        slot, last = Signal(VM_RECORD), Signal(_CODE)
        save = seen.call == Call.VM_SAVE.value
        with m.If(about):
            with m.If(seen.within("ENTER")):
                m.d.sync += slot.eq(Cat(VmState.FAULTED, x[:4], y[:4], width[:5], height[:5]))
            with m.If(seen.within("CREATED")):
                m.d.sync += slot.state.eq(VmState.CREATED)
            with m.If(ended & ~save & (given == Result.OK)):
                m.d.sync += [slot.state.eq(VmState.READY), slot.resumed.eq(self.resumed)]
            for name, state in CHANGED.items():
                with m.If(seen.within(name) & passed):
                    m.d.sync += slot.state.eq(state)
            with m.If(seen.within("DESTROY")):
                m.d.sync += slot.state.eq(VmState.FAULTED)
            with m.If(seen.within("FREED")):
                m.d.sync += slot.eq(0)
        with m.If(ended & ~save):
            m.d.sync += last.eq(given)
        m.d.comb += [
            Assert(~seen.tables.ready | (seen.record.as_value() == slot.as_value()), "P8-RECORD"),
            Assert(seen.tables.ready | (slot.as_value() == 0), "lemma: cleared"),
            Assert(seen.registers["last_load"] == last, "P9-STATUS"),
        ]


def _kind(config: Any, channel: int) -> int:
    if channel < config.tty_channels:
        return ChannelKind.TTY.value
    if channel < config.tty_channels + config.mailbox_channels:
        return ChannelKind.MAILBOX.value
    return ChannelKind.ATTEST.value
