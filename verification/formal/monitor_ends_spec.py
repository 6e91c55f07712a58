# SPDX-License-Identifier: Apache-2.0
"""Every call of the security monitor ends."""

from typing import Any

from amaranth import Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover

from blindvisor.hdl.abi import Call
from blindvisor.hdl.config import MachineConfig
from blindvisor.verification.formal.inner import states
from blindvisor.verification.formal.monitor_environment import Seen
from blindvisor.verification.formal.monitor_tables_spec import PASSES, MonitorTablesSpec

__all__ = ["MonitorEndsSpec"]

_READY, _REPLY = 4, 8  # cycles: what a fair lane takes at most

_DESTROY = ("DESTROY",)
NEXT: dict[str, tuple[str, ...]] = {
    "IDLE": (),
    "END": ("IDLE",),
    "FREED": ("END",),
    "FREE": ("FREED", "END"),
    "CLEAN": ("FREE",),
    "SCRUB": ("CLEAN",),
    "DRAIN": ("SCRUB",),
    "STOP": ("DRAIN",),
    "TAKE_CHANNELS": ("STOP",),
    "DESTROY": ("TAKE_CHANNELS",),
    "REVOKED": ("END", *_DESTROY),
    "REVOKE": ("REVOKED",),
    "GRANTED": ("END",),
    "GRANT": ("GRANTED", *_DESTROY),
    "LAUNCH": ("END", *_DESTROY),
    "FREEZE": ("END", *_DESTROY),
    "RESUME": ("END", *_DESTROY),
    "RETURNED": ("END", *_DESTROY),
    "LENT": ("RETURNED",),
    "LEND": ("LENT",),
    "CREATED": ("END",),
    "CLAIM": ("CREATED", *_DESTROY),
    "ENTERED": ("CLAIM",),
    "ENTER": ("ENTERED",),
    "VACANT": ("ENTER", "END"),
    "FAULT_CLEAR": ("END",),
    "STATUS_FAULTS": ("END",),
    "STATUS_CLUSTER": ("STATUS_FAULTS", "END"),
    "STATUS": ("STATUS_CLUSTER", "END"),
    "CHECK": (
        *("VACANT", "LEND", "LAUNCH", "FREEZE", "RESUME", "DESTROY", "GRANT", "REVOKE"),
        *("STATUS", "FAULT_CLEAR", "END"),
    ),
    "FETCH": ("CHECK",),
}
"""Where each state of a call can lead; a path through it is a call."""


class MonitorEndsSpec(MonitorTablesSpec):
    """What is left to do gets less in every cycle.

    A number stands for the cycles that a call may still take: of the longest way from its state to
    the end, and within a pass over the clusters of the clusters left and the patience left.

    Claims
    ------
    P8-ENDS
        While a call runs, the number becomes less in every cycle, except while the loader is at
        work and while the last words of a saved image wait for the hypervisor. It is never more
        than :attr:`bound`, so that is the longest that a call takes besides these.

    Assumed besides: a lane command is taken in at most 4 cycles, and its reply comes in at most 8.
    All lemmas of :class:`MonitorTablesSpec` are proved with it: a pass ends because its rectangle
    lies in the mesh.
    """

    script = ((Call.NONE,), (Call.FAULT_CLEAR, 0))

    bound: int
    """Cycles."""

    def __init__(self, config: MachineConfig, *, deep: bool = True) -> None:
        self._ends = deep
        super().__init__(config, deep=False)
        self._visit = _READY + _REPLY + 2  # of a cluster, without patience

    def elaborate(self, platform: object) -> Module:
        """Add the claim to those of the tables."""
        m = super().elaborate(platform)
        seen, command = self.seen, self.seen.dut.lane.command
        offered, silent = Signal(range(_READY)), Signal(range(_REPLY))
        m.d.sync += [
            offered.eq(Mux(command.valid & ~command.ready, offered + 1, 0)),
            silent.eq(Mux((seen.owed != 0) & ~self.inputs.reply_valid, silent + 1, 0)),
        ]
        m.d.comb += [
            Assume(~command.valid | command.ready | (offered != _READY - 1), "taken in time"),
            Assume(
                (seen.owed == 0) | self.inputs.reply_valid | (silent != _REPLY - 1),
                "answered in time",
            ),
        ]
        left = self._left(m, seen, offered, silent)
        was_left, ran = Signal.like(left), Signal()
        untaken = seen.within("RETURNED") & seen.dut.calls.saving & (seen.owed == 0)
        waits = seen.within("LEND", "LENT") | untaken
        next_channel = seen.registers["channel"] < self.config.channels
        loading = seen.within("LEND", "LENT", "RETURNED")
        running = seen.dut.calls.busy & ~seen.within("POWER_ON", "POWER_ON_CLEAN", "POWER_ON_FREE")
        about = seen.registers["vm"] == self.vm
        alone = seen.within("FETCH", "CHECK", "STATUS", "END", *PASSES[-3:])
        m.d.sync += [was_left.eq(left), ran.eq(running & ~waits & (about | alone))]
        m.d.comb += [
            Assert(~(ran & (about | alone)) | (left < was_left), "P8-ENDS"),
            Assert((left <= self.bound) | ~(about | alone), "P8-ENDS"),
            Assert(seen.registers["sweep.waited"] <= seen.sweep.patience, "lemma: patience"),
            Assert(seen.within(*states(seen.registers["fsm_state"])), "lemma: states have names"),
            Assert((seen.owed != 0) | (silent == 0), "lemma: silence"),
            Assert(seen.passing("COMMAND") | (offered == 0) | loading, "lemma: offers"),
            Assert(~seen.within("TAKE_CHANNELS") | next_channel, "lemma: channels"),
        ]
        if self._ends:
            m.d.comb += Cover(ran & seen.ended, "a call ends")
        return m

    def _left(self, m: Module, seen: Seen, offered: Signal, silent: Signal) -> Signal:
        """Return the number of cycles that are left."""
        config, registers = self.config, seen.registers
        patience = seen.sweep.patience
        cluster = patience + self._visit + 1
        whole = config.clusters * cluster + 2
        costs: dict[str, Any] = dict.fromkeys(PASSES, whole) | {
            "TAKE_CHANNELS": config.channels,
            "RETURNED": 32 * _REPLY + 1,
            "IDLE": 0,
        }
        after: dict[str, int] = {}
        for state, following in NEXT.items():
            after[state] = max((costs.get(n, 1) + after[n] for n in following), default=0)
        self.bound = max(costs.get(n, 1) + rest for n, rest in after.items())

        def number(name: str) -> Signal:
            return Signal(range(self.bound + 1), name=name)

        order: Any = seen.sweep.order
        waited = registers["sweep.waited"]
        rows_left = order.height - registers["sweep.row"] - 1
        others = number("others")  # clusters after this one
        visit, walk = number("visit"), number("walk")
        m.d.comb += [
            others.eq(
                Mux(
                    order.broadcast,
                    0,
                    rows_left[:5] * config.width
                    + (order.width - registers["sweep.$signal"] - 1)[:5],
                )
            ),
            visit.eq(self._visit),
        ]
        with m.If(waited == patience):
            with m.If(seen.passing("COMMAND")):
                m.d.comb += visit.eq(_READY - offered + _REPLY)
            with m.If(seen.passing("REPLY")):
                m.d.comb += visit.eq(_REPLY - silent)
            with m.If(seen.passing("COMPARE")):
                m.d.comb += visit.eq(self._visit - 1)
        m.d.comb += walk.eq(others * cluster + (patience - waited) + visit + 2)
        with m.If(seen.passing("IDLE")):
            m.d.comb += walk.eq(whole)
        with m.If(seen.passing("STEP")):
            m.d.comb += walk.eq(others * cluster + 2)
        with m.If(seen.passing("PASSED", "FAILED")):
            m.d.comb += walk.eq(1)
        return self._sum(m, seen, after, number("left"), walk, silent)

    def _sum(
        self, m: Module, seen: Seen, after: dict[str, int], left: Any, walk: Value, silent: Value
    ) -> Any:
        inner: dict[str, Value] = dict.fromkeys(PASSES, walk)
        inner["TAKE_CHANNELS"] = self.config.channels - seen.registers["channel"]
        inner["RETURNED"] = seen.owed * _REPLY - silent + 1
        for state, rest in after.items():
            with m.If(seen.within(state)):
                m.d.comb += left.eq(rest + inner.get(state, Value.cast(int(state != "IDLE"))))
        return left
