# SPDX-License-Identifier: Apache-2.0
"""What the monitor does once a call has passed its checks: sequences of states."""

from collections.abc import Callable
from typing import Any

from amaranth import C, Cat, Module, Signal
from amaranth.lib import data

from blindvisor.hdl.abi import Call, Result, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.guard import UPDATE
from blindvisor.hdl.iocluster.passes import ClusterPass, Others, Until, pass_order
from blindvisor.hdl.iocluster.tables import OwnerTables
from blindvisor.hdl.ionet.flits import LaneOp

__all__ = ["Sequences"]


class Sequences:
    """States of the monitor's one state machine, each method a group of them.

    The methods in lower case without a leading underscore, but for the building blocks, are to be
    called once each, inside ``with m.FSM():``.

    Parameters
    ----------
    m : :class:`Module`
        The monitor's module.
    config : :class:`MachineConfig`
        The machine.
    calls, load, rows, denied
        Ports of :class:`Monitor`.
    tables, sweep
        Its submodules.

    Attributes
    ----------
    lent, settled, all_taken
        The loader has the lane; no reply is on its way, and no word of a saved image waits for the
        hypervisor (driven by the monitor).
    abortable, aborted
        The call can be aborted; it was.
    command, arguments
        Of the running call, as full words.
    vm, record
        VM that the call is about, and its row, one cycle after ``vm`` changed or the row was
        written.
    guest, update
        Guest channel number of the call; the update for the channel guard.
    last_load, values
        Result of the last load that the loader began; VALUE0..VALUE3.

    Notes
    -----
    The states of a call that has begun to change things lead to END or to DESTROY, whatever a
    cluster answers.
    """

    def __init__(
        self,
        m: Module,
        config: MachineConfig,
        *,
        calls: Any,
        load: Any,
        tables: OwnerTables,
        sweep: ClusterPass,
        rows: data.View,
        denied: data.View,
    ) -> None:
        self.m = m
        self.config = config
        self.calls = calls
        self.load = load
        self.tables = tables
        self.sweep = sweep
        self.rows = rows
        self.denied = denied

        self.lent = Signal()
        self.settled = Signal()
        self.all_taken = Signal()
        self.command = Signal(32)
        self.arguments = [Signal(32, name=f"argument{n}") for n in range(5)]
        self.vm = Signal(8)
        self.record = tables.record
        self.guest = Signal(4)
        self.update = Signal(UPDATE)
        self.last_load = Signal(Result)
        self.values = [calls.values[n] for n in range(4)]
        self.abortable = Signal()
        self.aborted = Signal()
        self._outcome = Signal(Result, init=Result.CLUSTER_FAULT)
        self._order = {
            name: Signal(field.shape, name=f"order_{name}") for name, field in pass_order(config)
        }
        order, row = self._order, self.record
        m.d.comb += [
            tables.vm.eq(self.vm),
            sweep.order.eq(Cat(*order.values())),
            # What most passes need; a state that needs something else assigns it again.
            order["first"].eq(row.y * config.width + row.x),
            order["width"].eq(row.width),
            order["height"].eq(row.height),
            order["holder"].eq(self.vm),
            order["owner"].eq(self.vm),
            calls.busy.eq(1),
            load.x.eq(row.x),
            load.y.eq(row.y),
            load.width.eq(row.width),
            load.height.eq(row.height),
            load.length.eq(self.arguments[1]),
            load.abort.eq(self.lent & self.aborted),
        ]
        # From the call on, not only while words are taken: an early ABORT must not be lost.
        with m.If(self.abortable & calls.abort):
            m.d.sync += self.aborted.eq(1)

    # Building blocks

    def end(self, result: Any) -> None:
        """End the call."""
        self.m.d.sync += self._outcome.eq(result)
        self.m.next = "END"

    def destroy_and_end(self, result: Any) -> None:
        """Scrub the VM, then end the call."""
        self.m.d.sync += self._outcome.eq(result)
        self.m.next = "DESTROY"

    def go(self, state: str) -> Callable[[], None]:
        """Return what makes ``state`` the next one."""

        def go() -> None:
            self.m.next = state

        return go

    def pass_state(
        self,
        name: str,
        op: LaneOp,
        *,
        passed: Callable[[], None],
        failed: Callable[[], None],
        **order: Any,
    ) -> None:
        """Add the state ``name``: one pass, then what ``passed`` or ``failed`` adds.

        ``order``: fields of :func:`pass_order` that differ from "the VM's clusters, all of which
        it must own".
        """
        m = self.m
        with m.State(name):
            m.d.comb += [self.sweep.start.eq(1), self._order["op"].eq(op)]
            m.d.comb += [self._order[field].eq(value) for field, value in order.items()]
            with m.If(self.sweep.done & self.sweep.ok):
                passed()
            with m.Elif(self.sweep.done):
                failed()

    def write_record(self, state: VmState, *, resumed: Any = None) -> None:
        """Give the VM's slot another state."""
        row = self.record
        resumed = row.resumed if resumed is None else resumed
        self.m.d.comb += [
            self.tables.record_write.eq(1),
            self.tables.record_next.eq(Cat(state, row.x, row.y, row.width, row.height, resumed)),
        ]

    # States

    def power_on(self) -> None:
        """Clusters scrub themselves; one that never gets clean keeps the monitor busy."""
        m = self.m
        everything: dict[str, Any] = {
            "first": 0,
            "width": self.config.width,
            "height": self.config.height,
            "others": Others.SERVE,
        }
        with m.State("POWER_ON"), m.If(self.tables.ready):
            m.next = "POWER_ON_CLEAN"
        self.pass_state(
            "POWER_ON_CLEAN",
            LaneOp.STATUS,
            until=Until.CLEAN,
            patient=1,
            passed=self.go("POWER_ON_FREE"),
            failed=self.go("POWER_ON_CLEAN"),
            **everything,
        )
        self.pass_state(
            "POWER_ON_FREE",
            LaneOp.FREE,
            passed=self.go("IDLE"),
            failed=self.go("POWER_ON_CLEAN"),
            **everything,
        )

    def idle(self) -> None:
        """Wait for a call and latch it; end one."""
        m, calls = self.m, self.calls
        with m.State("IDLE"):
            m.d.comb += calls.busy.eq(0)
            with m.If(calls.start):
                m.d.sync += [self.command.eq(calls.command), self.vm.eq(calls.arguments[0])]
                m.d.sync += self.abortable.eq(
                    (calls.command == Call.VM_LOAD) | (calls.command == Call.VM_SAVE)
                )
                m.d.sync += [word.eq(calls.arguments[n]) for n, word in enumerate(self.arguments)]
                with m.If((calls.command == Call.CHANNEL_GRANT) | (calls.command == Call.STATUS)):
                    m.d.sync += self.vm.eq(calls.arguments[1])
                m.next = "FETCH"
        with m.State("FETCH"):
            m.next = "CHECK"
        with m.State("END"):
            m.d.comb += calls.ended.eq(1)
            m.d.sync += calls.result.eq(self._outcome)
            m.d.sync += [self.abortable.eq(0), self.aborted.eq(0)]
            m.next = "IDLE"

    def create(self) -> None:
        """Look at all clusters first; then claim them."""
        m = self.m
        _, x, y, width, height = self.arguments
        self.pass_state(
            "VACANT",
            LaneOp.NONE,
            first=y[:4] * self.config.width + x[:4],
            width=width,
            height=height,
            holder=0,
            passed=self.go("ENTER"),
            failed=lambda: self.end(Result.OCCUPIED),
        )
        with m.State("ENTER"):
            # Until all clusters are claimed, the slot can be used for nothing but VM_DESTROY.
            m.d.comb += [
                self.tables.record_write.eq(1),
                self.tables.record_next.eq(
                    Cat(VmState.FAULTED, x[:4], y[:4], width[:5], height[:5])
                ),
            ]
            m.next = "ENTERED"
        with m.State("ENTERED"):
            m.next = "CLAIM"
        row = self.record
        self.pass_state(
            "CLAIM",
            LaneOp.CLAIM,
            data=Cat(self.vm, row.x, row.y, (row.width - 1)[:4], (row.height - 1)[:4]),
            holder=0,
            passed=self.go("CREATED"),
            failed=lambda: self.destroy_and_end(Result.CLUSTER_FAULT),
        )
        with m.State("CREATED"):
            self.write_record(VmState.CREATED)
            self.end(Result.OK)

    def change_state(self) -> None:
        """Tell all clusters of the VM at once, then change the slot: start, freeze, resume."""
        launch = Cat(self.vm, self.record.resumed)
        for name, op, state, word in (
            ("LAUNCH", LaneOp.LAUNCH, VmState.RUNNING, launch),
            ("FREEZE", LaneOp.FREEZE, VmState.FROZEN, self.vm),
            ("RESUME", LaneOp.RESUME, VmState.RUNNING, self.vm),
        ):

            def passed(state: VmState = state) -> None:
                self.write_record(state)
                self.end(Result.OK)

            self.pass_state(
                name,
                op,
                broadcast=1,
                data=word,
                passed=passed,
                failed=lambda: self.destroy_and_end(Result.CLUSTER_FAULT),
            )

    def destroy(self) -> None:
        """Stop the VM, take its channels, scrub it, free its clusters and its slot.

        What fails here leaves the slot FAULTED with the clusters that were not freed.
        """
        m = self.m
        channel = Signal(range(self.config.channels))
        with m.State("DESTROY"):
            self.write_record(VmState.FAULTED)
            m.d.sync += channel.eq(0)
            m.next = "TAKE_CHANNELS"
        with m.State("TAKE_CHANNELS"):
            with m.If(self.rows[channel].owner == self.vm):
                m.d.comb += self.update.eq(Cat(C(1, 1), C(0, 4) | channel))
            m.d.sync += channel.eq(channel + 1)
            with m.If(channel == self.config.channels - 1):
                m.next = "STOP"
        for name, op, following, order in (
            ("STOP", LaneOp.STOP, "DRAIN", {"broadcast": 1, "data": self.vm}),
            ("DRAIN", LaneOp.STATUS, "SCRUB", {"until": Until.DRAINED}),
            ("SCRUB", LaneOp.SCRUB, "CLEAN", {}),
            ("CLEAN", LaneOp.STATUS, "FREE", {"until": Until.CLEAN}),
            ("FREE", LaneOp.FREE, "FREED", {}),
        ):
            self.pass_state(
                name,
                op,
                others=Others.SKIP,
                passed=self.go(following),
                failed=lambda: self.end(Result.CLUSTER_FAULT),
                **order,
            )
        with m.State("FREED"):
            m.d.comb += [self.tables.record_write.eq(1), self.tables.record_next.eq(0)]
            m.next = "END"

    def channels(self) -> None:
        """Let the clusters know a channel before its owner may use it, and the other way round."""
        m = self.m
        number = self.arguments[0][:4]
        self.pass_state(
            "GRANT",
            LaneOp.CHANNEL,
            data=Cat(self.guest, number, C(1, 1)),
            passed=self.go("GRANTED"),
            failed=lambda: self.destroy_and_end(Result.CLUSTER_FAULT),
        )
        with m.State("GRANTED"):
            m.d.comb += self.update.eq(Cat(C(1, 1), number, self.vm, self.guest))
            self.end(Result.OK)
        with m.State("REVOKE"):
            m.d.comb += self.update.eq(Cat(C(1, 1), number))
            m.next = "REVOKED"
        self.pass_state(
            "REVOKED",
            LaneOp.CHANNEL,
            data=Cat(self.guest, number, C(0, 1)),
            passed=lambda: self.end(Result.OK),
            failed=lambda: self.destroy_and_end(Result.CLUSTER_FAULT),
        )
