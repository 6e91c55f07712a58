# SPDX-License-Identifier: Apache-2.0
"""The tile's side of the I/O network's border, in two copies: what is for others is not there."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp, down_flit, lane_command
from blindvisor.hdl.ionet.node import IoNode
from blindvisor.hdl.smmu.smmu import Smmu

__all__ = ["LeafSpec"]

_LOCAL = (
    "position",
    "guest",
    "channel_denied",
    "channel_refused",
    "dropped",
    "quiet",
    "scrubbed",
)
_STREAMS_IN = ("request_out", "response_out", "mesh_request_in", "mesh_response_in")
_STREAMS_OUT = ("request_in", "response_in", "mesh_request_out", "mesh_response_out")
_SHOWN = (
    *("denied", "denied_core", "own", "last", "granted", "channel", "pending"),
    *("run", "hold", "serve", "load", "save", "zero"),
)
_BY_OWNER = (LaneOp.LAUNCH, LaneOp.FREEZE, LaneOp.RESUME, LaneOp.STOP)


class LeafSpec(wiring.Component):
    """Two leaves with their SMMUs, whose cluster and routers do the same, whose tree does not.

    Claims
    ------
    P12-CLUSTER
        Everything that leaf and SMMU show cores, memory and network interface is the same in both
        copies, in every cycle.
    P12-MESH
        So is what they offer the routers, and what they take from them.
    P12-UP
        So is what the leaf sends up.

    Assumed: both copies see the same slot and lane in every cycle (the root counts alone: proof
    ``ionet-neighbours``); the flits of the cluster's own slot, and the lane commands that name it,
    are the same; broadcasts are the same if they are for the cluster's owner. All other payloads
    and valid bits differ as the solver likes, broadcasts to other owners included. The cluster and
    the routers give both copies the same inputs.
    """

    index: Signal
    down_one: Any
    down_other: Any
    position: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        self.node = IoNode(config)
        self.smmu = Smmu(config)
        node, smmu = self.node.signature.members, self.smmu.signature.members
        super().__init__(
            {
                "index": In(self.node.index.shape()),
                "down_one": In(down_flit(config)),
                "down_other": In(down_flit(config)),
                "io_valid": In(1),
                "io_payload": In(node["request"].signature.members["payload"].shape),
                "other_reply": In(node["reply"].shape),
                **{name: In(smmu[name].shape) for name in _LOCAL},
                **{f"{name}_valid": In(1) for name in _STREAMS_IN},
                **{
                    f"{name}_payload": In(smmu[name].signature.members["payload"].shape)
                    for name in _STREAMS_IN
                },
                **{f"{name}_ready": In(1) for name in _STREAMS_OUT},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build both, feed both, compare both."""
        m = Module()
        node, smmu = IoNode(self.config), Smmu(self.config)
        one = self._copy(m, "one", self.node, self.smmu, self.down_one)
        other = self._copy(m, "other", node, smmu, self.down_other)
        owner = self._owner(m, "one", self.node, self.smmu)
        other_owner = self._owner(m, "other", node, smmu)

        started, was_index, was_position = Signal(), Signal.like(self.index), Signal(16)
        position = Value.cast(self.position)
        m.d.sync += [started.eq(1), was_index.eq(self.index), was_position.eq(position)]
        m.d.comb += Assume(
            ~started | ((self.index == was_index) & (position == was_position)),
            "index and position are constant",
        )
        m.d.comb += Assume(
            Cat(self.down_one.slot, self.down_one.lane)
            == Cat(self.down_other.slot, self.down_other.lane),
            "time is the same",
        )
        m.d.comb += Assume(
            self._concerning(m, "one", self.down_one, owner)
            == self._concerning(m, "other", self.down_other, other_owner),
            "what is for the cluster is the same",
        )
        for claim, group in (("P12-CLUSTER", 0), ("P12-MESH", 1), ("P12-UP", 2)):
            m.d.comb += Assert(one[group] == other[group], claim)

        differs = Signal()
        with m.If(self.down_one != self.down_other):
            m.d.sync += differs.eq(1)
        m.d.comb += [
            Cover(differs & self.smmu.run, "a VM runs while neighbours differ"),
            Cover(differs & self.node.answer.valid, "an answer comes while neighbours differ"),
            Cover(differs & self.smmu.mesh_request_out.valid, "a request leaves"),
        ]
        return m

    def _copy(self, m: Module, name: str, node: Any, smmu: Any, down: Any) -> list[Any]:
        """Add one copy; return what it shows: to the cluster, to the mesh, to the tree."""
        m.submodules[f"node_{name}"] = node
        m.submodules[f"smmu_{name}"] = smmu
        given: Any = self
        m.d.comb += [
            node.index.eq(self.index),
            node.down.eq(down),
            node.request.valid.eq(given.io_valid),
            node.request.payload.eq(given.io_payload),
            node.reply.eq(smmu.reply.as_value() | Value.cast(given.other_reply)),
            smmu.levels.eq(node.interrupts),
            *(Value.cast(getattr(smmu, port)).eq(getattr(given, port)) for port in _LOCAL),
        ]
        m.d.comb += smmu.command.eq(node.command)
        for port in _STREAMS_IN:
            m.d.comb += [
                getattr(smmu, port).valid.eq(getattr(given, f"{port}_valid")),
                getattr(smmu, port).payload.eq(getattr(given, f"{port}_payload")),
            ]
        for port in _STREAMS_OUT:
            m.d.comb += getattr(smmu, port).ready.eq(getattr(given, f"{port}_ready"))

        def flat(*ports: Any) -> Value:
            return Cat(*(Value.cast(port) for port in ports))

        def offered(port: str) -> tuple[Any, Any]:
            stream = getattr(smmu, port)
            return stream.valid, stream.payload

        cluster = flat(
            *(getattr(smmu, port) for port in _SHOWN),
            *offered("request_in"),
            *offered("response_in"),
            smmu.request_out.ready,
            smmu.response_out.ready,
            *(node.answer, node.busy, node.interrupts, node.request.ready),
            # A named command reaches the lane's port into memory; a broadcast is no command there.
            Mux(node.command.valid & node.command.named, node.command, 0),
        )
        mesh = flat(
            *offered("mesh_request_out"),
            *offered("mesh_response_out"),
            smmu.mesh_request_in.ready,
            smmu.mesh_response_in.ready,
        )
        return [cluster, mesh, Value.cast(node.up)]

    def _owner(self, m: Module, name: str, node: Any, smmu: Any) -> Signal:
        """Return the owner, kept by the claim and the replies that the SMMU gave."""
        owner = Signal(8, name=f"owner_{name}")
        pending, claimer = Signal(LaneOp, name=f"op_{name}"), Signal(8, name=f"claimer_{name}")
        kept = Signal(8, name=f"kept_{name}")
        m.d.sync += pending.eq(LaneOp.NONE)
        with m.If(node.command.valid & node.command.named):
            m.d.sync += [pending.eq(node.command.op), claimer.eq(node.command.data[:8])]
        m.d.comb += owner.eq(kept)
        with m.If(smmu.reply.ok & (pending == LaneOp.CLAIM)):
            m.d.comb += owner.eq(claimer)
        with m.If(smmu.reply.ok & (pending == LaneOp.FREE)):
            m.d.comb += owner.eq(0)
        m.d.sync += kept.eq(owner)
        return owner

    def _concerning(self, m: Module, name: str, down: Any, owner: Signal) -> Signal:
        """Return what of a flit is for this cluster or its owner, and zero otherwise."""
        layout = lane_command(self.config)
        command = layout(down.payload[: layout.size])
        told = Signal(1 + len(Value.cast(down)), name=f"told_{name}")
        by_owner = Cat(command.op == op for op in _BY_OWNER).any()
        for_owner = by_owner & (command.data[:8] == owner) & (owner != 0)
        for_cluster = Mux(command.named, command.cluster == self.index, for_owner)
        with m.If(Mux(down.lane, down.valid & for_cluster, down.slot == self.index)):
            m.d.comb += told.eq(Cat(1, down))
        return told
