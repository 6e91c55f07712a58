# SPDX-License-Identifier: Apache-2.0
"""Stands in for the hypervisor where there is no host: makes one VM per cluster, and then tells
what their SMMUs deny."""

from typing import Any

from amaranth import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import Out

from blindvisor.hdl.abi import Call, Result, StatusKind
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.calls import CallPort

__all__ = ["Warden"]


class Warden(wiring.Component):
    """Calls the monitor from a list; then asks for the fault records for ever.

    Parameters
    ----------
    config : :class:`MachineConfig`
        One row of at most 9 clusters, with a VM slot for each.

    Members
    -------
    calls : :py:`Out(CallPort())`
        The monitor.
    text : :py:`Out(stream.Signature(8))`
        A line for every cluster whose count has changed: ``C`` cluster, ``N`` count, ``F`` first
        kind of denial (abi.Fault), in hexadecimal.
    started : :py:`Out(1)`
        All VMs run.
    refused : :py:`Out(1)`
        A call did not end with OK: nothing more is called.
    noticed : :py:`Out(1)`
        Changes with every line.
    """

    calls: Any
    text: stream.Interface
    started: Signal
    refused: Signal
    noticed: Signal

    def __init__(self, config: MachineConfig) -> None:
        if config.height != 1 or config.width > 9 or config.vms < config.clusters:
            raise ValueError("a fabric must be one row of at most 9 clusters, with a VM for each")
        self.config = config
        super().__init__(
            {
                "calls": Out(CallPort()),
                "text": Out(stream.Signature(8)),
                "started": Out(1),
                "refused": Out(1),
                "noticed": Out(1),
            }
        )

    def _preparation(self) -> list[tuple[int, ...]]:
        """Calls before the loop: word of the command, then its arguments."""
        vms = range(1, self.config.clusters + 1)
        return [
            *((Call.VM_CREATE.value, vm, vm - 1, 0, 1, 1) for vm in vms),
            *((Call.VM_LOAD.value, vm, 0) for vm in vms),
            (Call.CHANNEL_GRANT.value, 0, 1, 0),
            *((Call.VM_START.value, vm) for vm in vms),
        ]

    def elaborate(self, platform: object) -> Module:
        """A step counter, and the line of text."""
        m = Module()
        prepared = self._preparation()
        clusters = self.config.clusters
        asked = [
            (Call.STATUS.value, StatusKind.CLUSTER.value, cluster) for cluster in range(clusters)
        ]
        step = Signal(range(len(prepared) + clusters))
        cluster = Signal(range(max(clusters, 2)))
        for number, (command, *arguments) in enumerate(prepared + asked):
            with m.If(step == number):
                m.d.comb += self.calls.command.eq(command)
                m.d.comb += Cat(self.calls.arguments).eq(
                    Cat(Const(argument, 32) for argument in arguments)
                )
        m.d.comb += [
            cluster.eq(step - len(prepared)),
            self.started.eq(step >= len(prepared)),
        ]

        values: Any = self.calls.values
        counts = Array(Signal(16, name=f"count{n}") for n in range(clusters))
        line = Signal(data.StructLayout({"count": 16, "first": 4}))
        letter = Signal(4)
        with m.FSM():
            with m.State("CALL"):
                m.d.comb += self.calls.start.eq(~self.calls.busy)
                with m.If(~self.calls.busy):
                    m.next = "WAIT"
            with m.State("WAIT"):
                with m.If(self.calls.ended):
                    m.next = "LOOK"
            with m.State("LOOK"):
                m.next = "NEXT"
                with m.If(self.calls.result != Result.OK):
                    m.d.sync += self.refused.eq(1)
                    m.next = "REFUSED"
                with m.Elif(self.started & (counts[cluster] != values[2][:16])):
                    m.d.sync += [
                        counts[cluster].eq(values[2][:16]),
                        line.eq(Cat(values[2][:16], values[3][:4])),
                        self.noticed.eq(~self.noticed),
                    ]
                    m.next = "TELL"
            with m.State("TELL"):
                m.d.comb += self.text.valid.eq(1)
                with m.If(self.text.ready):
                    m.d.sync += letter.eq(letter + 1)
                    with m.If(letter == 10):
                        m.d.sync += letter.eq(0)
                        m.next = "NEXT"
            with m.State("NEXT"):
                m.d.sync += step.eq(
                    Mux(step == len(prepared) + clusters - 1, len(prepared), step + 1)
                )
                m.next = "CALL"
            with m.State("REFUSED"):
                pass

        shown = [
            Const(ord("C"), 8),
            ord("0") + cluster,
            Const(ord(" "), 8),
            Const(ord("N"), 8),
            *(_hexadecimal(line.count[4 * n : 4 * n + 4]) for n in (3, 2, 1, 0)),
            Const(ord("F"), 8),
            _hexadecimal(line.first),
            Const(ord("\n"), 8),
        ]
        with m.Switch(letter):
            for number, byte in enumerate(shown):
                with m.Case(number):
                    m.d.comb += self.text.payload.eq(byte)
        return m


def _hexadecimal(digit: Any) -> Any:
    return Mux(digit < 10, ord("0") + digit, ord("A") - 10 + digit)
