# SPDX-License-Identifier: Apache-2.0
"""How the parts of an SMMU are joined: who hears whom, and who may stop what."""

from typing import Any

from amaranth import Cat, Module, Value
from amaranth.hdl import Assert, Cover
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.abi import Fault
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LEAF_COMMAND
from blindvisor.hdl.noc.packets import COORDINATES, FLIT
from blindvisor.hdl.smmu.channels import ChannelTable
from blindvisor.hdl.smmu.egress import Egress
from blindvisor.hdl.smmu.faults import FaultRecord
from blindvisor.hdl.smmu.ingress import Ingress
from blindvisor.hdl.smmu.lifecycle import Lifecycle
from blindvisor.hdl.smmu.smmu import FAULT_SOURCES, Smmu
from blindvisor.verification.formal.inner import opened

__all__ = ["SmmuSpec"]

_INPUTS = {
    "position": COORDINATES,
    "command": LEAF_COMMAND,
    "guest": 4,
    "channel_denied": 1,
    "channel_refused": 1,
    "dropped": 2,
    "quiet": 1,
    "scrubbed": 1,
}
_STATE = ("run", "hold", "serve", "resumed", "load", "save", "zero")
"""What the lifecycle tells the cluster."""
_EGRESS = {"request_out": "mesh_request_out", "response_out": "mesh_response_out"}
_INGRESS = {"mesh_request_in": "request_in", "mesh_response_in": "response_in"}


class SmmuSpec(wiring.Component):
    """An SMMU beside its parts, which are joined here once more and get the same inputs.

    Anything may surround both. What the parts do has proofs of its own.

    Claims
    ------
    P1-JOINED
        Each packet passes the check of its own way and nothing else. Requests leave while the
        cluster serves; responses leave, and packets come in, while it serves or drains. Each check
        has the owner and the rectangle of the lifecycle, and the place in it.
    P3-JOINED
        Lifecycle, channel table and record of faults hear every command of the lane, and what is
        replied is what they reply. Cluster and lifecycle hear each other.
    P8-COUNTED
        Every denial, and what window and routers report, is counted, as what it is: the event of
        the record whose kind it has.
    P10-JOINED
        The channel table can be written while the cluster loads or serves, and is empty otherwise.

    The lemmas, and P8-COUNTED, say that every register is as in the parts.
    """

    position: Any
    command: Any
    guest: Any
    channel_denied: Any
    channel_refused: Any
    dropped: Any
    quiet: Any
    scrubbed: Any
    levels: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {name: In(shape) for name, shape in _INPUTS.items()}
            | {"levels": In(config.channels)}
            | {name: In(stream.Signature(FLIT)) for name in (*_EGRESS, *_INGRESS)}
            | {f"{name}_ready": In(1) for name in (*_EGRESS.values(), *_INGRESS.values())}
        )

    def elaborate(self, platform: object) -> Module:
        """Join the parts, and compare."""
        m = Module()
        dut: Any = Smmu(self.config)
        m.submodules.dut, registers = opened(dut)
        parts: dict[str, Any] = {
            "lifecycle": Lifecycle(),
            "channels": ChannelTable(self.config),
            "faults": FaultRecord(sources=FAULT_SOURCES),
            "request_egress": Egress(),
            "response_egress": Egress(),
            "request_ingress": Ingress(),
            "response_ingress": Ingress(),
        }
        for name, part in parts.items():
            m.submodules[name], own = opened(part)
            claim = "P8-COUNTED" if name == "faults" else f"lemma: {name}"
            for register, signal in own.items():
                m.d.comb += Assert(registers[f"{name}.{register}"] == signal, claim)
        self._feed(m, dut)
        lifecycle, channels = parts["lifecycle"], parts["channels"]
        self._packets(m, dut, parts)
        self._lane(m, dut, parts)
        self._counted(m, parts)
        m.d.comb += [
            channels.writable.eq(lifecycle.load | lifecycle.serve),
            channels.clear.eq(~(lifecycle.load | lifecycle.serve)),
            channels.guest.eq(self.guest),
            channels.levels.eq(self.levels),
            Assert(dut.granted == channels.granted, "P10-JOINED"),
            Assert(dut.channel == channels.channel, "P10-JOINED"),
            Assert(dut.pending == channels.pending, "P10-JOINED"),
            Cover(dut.run & dut.mesh_request_out.valid, "a request leaves"),
            Cover(dut.request_in.valid, "a request comes in"),
        ]
        return m

    def _feed(self, m: Module, dut: Any) -> None:
        for name in (*_INPUTS, "levels"):
            m.d.comb += getattr(dut, name).eq(getattr(self, name))
        for name in (*_EGRESS, *_INGRESS):
            given, taken = getattr(self, name), getattr(dut, name)
            m.d.comb += [taken.valid.eq(given.valid), taken.payload.eq(given.payload)]
        for name in (*_EGRESS.values(), *_INGRESS.values()):
            m.d.comb += getattr(dut, name).ready.eq(getattr(self, f"{name}_ready"))

    def _packets(self, m: Module, dut: Any, parts: dict[str, Any]) -> None:
        lifecycle = parts["lifecycle"]
        ownership = lifecycle.ownership
        serves, alive = lifecycle.serve, lifecycle.serve | lifecycle.drain
        origin, place = ownership.origin, self.position
        own = Cat((place.x - origin.x)[:4], (place.y - origin.y)[:4])
        for way, (inside, outside) in zip(("request", "response"), _EGRESS.items(), strict=True):
            part = parts[f"{way}_egress"]
            m.d.comb += [
                part.allow.eq(serves if way == "request" else alive),
                part.ownership.eq(ownership),
                part.own.eq(own),
            ]
            self._passes(m, dut, inside, part.inside, outside, part.outside)
        for way, (outside, inside) in zip(("request", "response"), _INGRESS.items(), strict=True):
            part = parts[f"{way}_ingress"]
            m.d.comb += [part.allow.eq(alive), part.owner.eq(ownership.owner)]
            self._passes(m, dut, outside, part.outside, inside, part.inside)
        m.d.comb += [
            Assert(dut.own.as_value() == own, "P1-JOINED"),
            Assert(dut.last.as_value() == ownership.last.as_value(), "P1-JOINED"),
            Assert(dut.denied == parts["request_egress"].denied, "P1-JOINED"),
            Assert(dut.denied_core == parts["request_egress"].denied_core, "P1-JOINED"),
        ]

    def _passes(self, m: Module, dut: Any, source: str, sink: Any, name: str, result: Any) -> None:
        """Give a part what the SMMU gets; what comes of it must be the same."""
        given, shown = getattr(self, source), getattr(dut, name)
        taken = getattr(dut, source).ready
        m.d.comb += [
            sink.valid.eq(given.valid),
            sink.payload.eq(given.payload),
            result.ready.eq(getattr(self, f"{name}_ready")),
            given.ready.eq(taken),
            Assert(shown.valid == result.valid, "P1-JOINED"),
            Assert(shown.payload.as_value() == result.payload.as_value(), "P1-JOINED"),
            Assert(taken == sink.ready, "P1-JOINED"),
        ]

    def _lane(self, m: Module, dut: Any, parts: dict[str, Any]) -> None:
        hears = [parts[name] for name in ("lifecycle", "channels", "faults")]
        replies: list[Value] = [part.reply.as_value() for part in hears]
        lifecycle = parts["lifecycle"]
        m.d.comb += [
            *(part.command.eq(self.command) for part in hears),
            lifecycle.quiet.eq(self.quiet),
            lifecycle.scrubbed.eq(self.scrubbed),
            Assert(dut.reply.as_value() == replies[0] | replies[1] | replies[2], "P3-JOINED"),
            *(Assert(getattr(dut, n) == getattr(lifecycle, n), "P3-JOINED") for n in _STATE),
        ]

    def _counted(self, m: Module, parts: dict[str, Any]) -> None:
        """Give the record, for each kind of fault, what shows it, in order."""
        egress = [parts[f"{way}_egress"] for way in ("request", "response")]
        ingress = [parts[f"{way}_ingress"] for way in ("request", "response")]
        kinds: dict[Fault, list[Value]] = {
            Fault.OUTSIDE: [part.denied & ~part.denied_state for part in egress],
            Fault.STATE: [part.denied & part.denied_state for part in egress],
            Fault.FOREIGN: [part.foreign for part in ingress],
            Fault.LATE: [part.late for part in ingress],
            Fault.CHANNEL: [self.channel_denied],
            Fault.REFUSED: [self.channel_refused],
            Fault.UNROUTABLE: [self.dropped[0], self.dropped[1]],
        }
        record = parts["faults"]
        m.d.comb += record.events.eq(Cat(kinds[kind].pop(0) for kind in FAULT_SOURCES))
