# SPDX-License-Identifier: Apache-2.0
"""The security monitor among a hypervisor, clusters and a loader that may do anything."""

from dataclasses import dataclass
from typing import Any

from amaranth import Array, Cat, Const, Module, Signal, Value
from amaranth.hdl import Assume
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.abi import Call, Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster import monitor as shipped
from blindvisor.hdl.iocluster import tables as shipped_tables
from blindvisor.hdl.iocluster.guard import ROW
from blindvisor.hdl.iocluster.passes import ClusterPass
from blindvisor.hdl.iocluster.tables import VM_RECORD, OwnerTables
from blindvisor.hdl.ionet.flits import CLAIM, LANE_REPLY, REPLY_CYCLES, LaneOp, lane_command
from blindvisor.hdl.ionet.tree import tree_depth
from blindvisor.verification.formal.inner import opened, replaced, states

__all__ = ["MonitorEnvironment", "Seen", "on_their_way"]

_MOST = 32  # replies on their way


def on_their_way(config: MachineConfig) -> int:
    """Return how many replies of the lane can be on their way at once."""
    cycles = 2 * tree_depth(config) + REPLY_CYCLES
    return cycles // 2 + 1


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


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The monitor, and what its specifications remember of it.

    Members
    -------
    dut, sweep, tables
        The monitor and two of its submodules, for their ports.
    registers : :class:`dict`
        The monitor's registers by dotted name.
    rows
        Table of channels, as the guard keeps it.
    owner, cell, record
        Table's owner of ``watched``, by the guard's port and as it stands in the memory; record of
        ``vm`` in the memory.
    started
        High from the second cycle after power-on or reset.
    owed
        Replies on their way.
    sent, to_watched, about_watched, last_op, last_claim
        A command is taken; it names ``watched``; the last one did; what it was.
    accepted
        ``watched`` agrees to the last command.
    call, words
        As they were given at the start of the call.
    ended, result, well
        A call has just ended; how; it was OK.
    """

    dut: Any
    sweep: Any
    tables: Any
    registers: dict[str, Signal]
    rows: Any
    owner: Signal
    cell: Value
    record: Any
    started: Signal
    owed: Signal
    sent: Value
    to_watched: Value
    about_watched: Signal
    last_op: Any
    last_claim: Any
    accepted: Value
    call: Signal
    words: list[Signal]
    ended: Signal
    result: Any
    well: Value

    def within(self, *names: str) -> Value:
        """Return whether the monitor is in one of these states."""
        return _within(self.registers["fsm_state"], names)

    def passing(self, *names: str) -> Value:
        """Return whether the pass over the clusters is in one of these states."""
        return _within(self.registers["sweep.fsm_state"], names)


class MonitorEnvironment(wiring.Component):
    """What specifications of the monitor have in common.

    They follow one cluster (``watched``) and one VM (``vm``), any ones. Clusters may answer what
    they like, the loader may say and send what it likes, the hypervisor may write what it likes,
    and reset may come at any time. Assumed: a reply comes only for a named command, and at most 31
    are on their way. The lane takes a command in every second cycle at most, and replies after a
    fixed time (:class:`~blindvisor.hdl.ionet.lane.LaneUser`), so that :func:`on_their_way` is the
    most that there can be, far below. Not covered: other sizes than the given one.

    ``guided`` is high while cluster 1 and VM 1 are watched, the hypervisor does the calls of
    ``script``, clusters answer at once (with a refusal to FAULT alone) and the loader, which sends
    one word, finds the image good; words of a saved image are taken at once. A run
    (:mod:`~blindvisor.verification.formal.runs`) is the one trace that is guided, or another.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    script : :class:`tuple`
        Other calls, for a run.
    result : :class:`Result`
        What the loader says in a run.

    Raises
    ------
    :exc:`ValueError`
        If on a machine of this size more replies can be on their way than is assumed.
    """

    script: tuple[tuple[Any, ...], ...]
    helpful: list[tuple[Value, Any]]

    watched: Signal
    vm: Signal
    inputs: Any
    guided: Signal

    def __init__(
        self,
        config: MachineConfig,
        *,
        script: tuple[tuple[Any, ...], ...] = (),
        result: Result = Result.OK,
    ) -> None:
        if on_their_way(config) >= _MOST:
            raise ValueError(f"fewer than {_MOST} replies must be on their way")
        self.config = config
        self.script = script or self.script
        self.outcome = result
        self.helpful = []
        super().__init__(
            {
                "watched": In(range(config.clusters)),
                "vm": In(8),
                "inputs": In(_Inputs(config)),
                "guided": Out(1),
            }
        )

    def _surround(self, m: Module) -> Seen:
        """Place the monitor among inputs, and remember what was said."""
        config, inputs = self.config, self.inputs
        dut, made, registers = self._place(m)
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
            made["owners"].addr.eq(self.watched),
            made["records"].addr.eq(self.vm),
        ]

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
            Assume(owed < _MOST, "the tree holds no more"),
        ]

        call = Signal(32)
        words = [Signal(32, name=f"word{n}") for n in range(5)]
        begins = calls.start & ~calls.busy
        with m.If(begins):
            m.d.sync += call.eq(calls.command)
            m.d.sync += [word.eq(calls.arguments[n]) for n, word in enumerate(words)]
        ended = Signal()
        m.d.sync += ended.eq(calls.ended)

        to_watched = named & (lane.command.payload.cluster == self.watched)
        about_watched, last_op, last_claim = Signal(), Signal(LaneOp), Signal(CLAIM)
        with m.If(sent):
            m.d.sync += [
                about_watched.eq(to_watched),
                last_op.eq(lane.command.payload.op),
                last_claim.eq(lane.command.payload.data),
            ]
        self._guide(m, dut, begins=begins, owed=owed, last_op=last_op)
        return Seen(
            dut=dut,
            sweep=made["sweep"],
            tables=made["tables"],
            registers=registers,
            rows=rows,
            owner=dut.guard_owner,
            cell=made["owners"].data,
            record=made["records"].data,
            started=started,
            owed=owed,
            sent=sent,
            to_watched=to_watched,
            about_watched=about_watched,
            last_op=last_op,
            last_claim=last_claim,
            accepted=inputs.reply_valid & inputs.reply.ok & about_watched,
            call=call,
            words=words,
            ended=ended,
            result=calls.result,
            well=ended & (calls.result == Result.OK),
        )

    def _place(self, m: Module) -> tuple[Any, dict[str, Any], dict[str, Signal]]:
        """Make the monitor, with another read port for each of its memories; keep its parts."""
        made: dict[str, Any] = {}

        def keep(name: str, part: type) -> Any:
            return lambda config: made.setdefault(name, part(config))

        def look_into(**parameters: Any) -> Memory:
            memory = Memory(**parameters)
            kind = "records" if memory.shape is VM_RECORD else "owners"
            made[kind] = memory.read_port(domain="comb")
            return memory

        dut = shipped.Monitor(self.config)
        with replaced(
            (shipped, "ClusterPass", keep("sweep", ClusterPass)),
            (shipped, "OwnerTables", keep("tables", OwnerTables)),
            (shipped_tables, "Memory", look_into),
        ):
            m.submodules.dut, registers = opened(dut)
        return dut, made, registers

    def _guide(self, m: Module, dut: Any, *, begins: Value, owed: Signal, last_op: Any) -> None:
        """Tell whether the environment follows the script."""
        inputs = self.inputs
        begun = Signal(range(len(self.script)))
        with m.If(begins & (begun != len(self.script) - 1)):
            m.d.sync += begun.eq(begun + 1)
        script = Array(_said(*call) for call in self.script)
        said = Value.cast(script[begun])
        loads = (dut.calls.loading | dut.calls.saving) & ~dut.load.start
        self.helpful = [
            (self.watched, 1),
            (self.vm, 1),
            (inputs.start, 1),
            (inputs.command, said[:32]),
            (inputs.arguments, said[32:]),
            (inputs.abort, 0),
            (inputs.ready, 1),
            (inputs.reply_valid, owed != 0),
            (inputs.reply, Cat(Const(-1, 32), last_op != LaneOp.FAULT)),
            (inputs.load_busy, 1),
            (inputs.load_done, loads),
            (inputs.load_result, self.outcome),
            (inputs.saved_waiting, 0),
            (inputs.loader_command.valid, dut.load.start),
        ]
        m.d.comb += self.guided.eq(
            Cat(Value.cast(given) == Value.cast(value) for given, value in self.helpful).all()
        )


def _said(call: Call, *arguments: int) -> Value:
    """Return command and arguments as the words that are written."""
    return Const(sum(word << 32 * n for n, word in enumerate((call.value, *arguments))), 32 * 6)


def _within(register: Signal, names: tuple[str, ...]) -> Value:
    numbers = states(register)
    return Cat(register == numbers[name] for name in names).any()
