# SPDX-License-Identifier: Apache-2.0
"""The secure memory management unit of one cluster: all its checks around one lifecycle."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.abi import Fault
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY, LEAF_COMMAND
from blindvisor.hdl.noc.packets import COORDINATES, FLIT
from blindvisor.hdl.smmu.channels import ChannelTable
from blindvisor.hdl.smmu.egress import Egress
from blindvisor.hdl.smmu.faults import FaultRecord
from blindvisor.hdl.smmu.ingress import Ingress
from blindvisor.hdl.smmu.lifecycle import Lifecycle

__all__ = ["FAULT_SOURCES", "Smmu"]

FAULT_SOURCES = (
    *(Fault.OUTSIDE, Fault.STATE),  # request egress
    *(Fault.OUTSIDE, Fault.STATE),  # response egress
    *(Fault.FOREIGN, Fault.LATE),  # request ingress
    *(Fault.FOREIGN, Fault.LATE),  # response ingress
    *(Fault.CHANNEL, Fault.REFUSED),  # I/O window
    *(Fault.UNROUTABLE, Fault.UNROUTABLE),  # routers of requests and of responses
)


class Smmu(wiring.Component):
    """Stands between a cluster and everything outside it.

    Members
    -------
    position : :py:`In(COORDINATES)`
        The cluster's place in the mesh. Nothing inside the cluster gets to see it.
    command, reply : :py:`In(LEAF_COMMAND)`, :py:`Out(LANE_REPLY)`
        Monitor lane; ``reply`` is zero unless a command for the SMMU was named a cycle before.
    request_in, request_out, response_in, response_out : streams of FLIT
        On the cluster's side: requests arriving for the target, leaving from the initiator;
        responses arriving for the initiator, leaving from the target.
    mesh_request_in, mesh_request_out, mesh_response_in, mesh_response_out : streams of FLIT
        The same on the routers' side. ``in`` is towards the cluster.
    denied, denied_core : :py:`Out(1)`, :py:`Out(2)`
        One cycle: a request of this core was swallowed; the initiator answers it with an error.
    own, last : :py:`Out(COORDINATES)`
        Guest coordinates of this cluster, and the largest of its VM.
    guest, granted, channel, levels, pending
        As in :class:`~blindvisor.hdl.smmu.channels.ChannelTable`.
    channel_denied, channel_refused : :py:`In(1)`
        One cycle each: the I/O window answered with an error because ``granted`` was 0, or because
        the root did.
    dropped : :py:`In(2)`
        One cycle each: the routers of requests and of responses swallowed a packet.
    run, hold, serve, resumed, load, save, zero, quiet, scrubbed
        As in :class:`~blindvisor.hdl.smmu.lifecycle.Lifecycle`.

    Notes
    -----
    All four packet paths are combinational (P13).
    """

    position: data.View
    command: data.View
    reply: data.View
    request_in: stream.Interface
    request_out: stream.Interface
    response_in: stream.Interface
    response_out: stream.Interface
    mesh_request_in: stream.Interface
    mesh_request_out: stream.Interface
    mesh_response_in: stream.Interface
    mesh_response_out: stream.Interface
    denied: Signal
    denied_core: Signal
    own: data.View
    last: data.View
    guest: Signal
    granted: Signal
    channel: Signal
    channel_denied: Signal
    channel_refused: Signal
    dropped: Signal
    levels: Signal
    pending: Signal
    run: Signal
    hold: Signal
    serve: Signal
    resumed: Signal
    load: Signal
    save: Signal
    zero: Signal
    quiet: Signal
    scrubbed: Signal

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        flits = stream.Signature(FLIT)
        super().__init__(
            {
                "position": In(COORDINATES),
                "command": In(LEAF_COMMAND),
                "reply": Out(LANE_REPLY),
                "request_in": Out(flits),
                "request_out": In(flits),
                "response_in": Out(flits),
                "response_out": In(flits),
                "mesh_request_in": In(flits),
                "mesh_request_out": Out(flits),
                "mesh_response_in": In(flits),
                "mesh_response_out": Out(flits),
                "denied": Out(1),
                "denied_core": Out(2),
                "own": Out(COORDINATES),
                "last": Out(COORDINATES),
                "guest": In(4),
                "granted": Out(1),
                "channel": Out(4),
                "channel_denied": In(1),
                "channel_refused": In(1),
                "dropped": In(2),
                "levels": In(config.channels),
                "pending": Out(config.guest_channels),
                "run": Out(1),
                "hold": Out(1),
                "serve": Out(1),
                "resumed": Out(1),
                "load": Out(1),
                "save": Out(1),
                "zero": Out(1),
                "quiet": In(1),
                "scrubbed": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join the checks; each is a component of its own and decides alone."""
        m = Module()
        m.submodules.lifecycle = lifecycle = Lifecycle()
        m.submodules.channels = channels = ChannelTable(self._config)
        m.submodules.faults = faults = FaultRecord(sources=FAULT_SOURCES)
        m.submodules.request_egress = request_egress = Egress()
        m.submodules.response_egress = response_egress = Egress()
        m.submodules.request_ingress = request_ingress = Ingress()
        m.submodules.response_ingress = response_ingress = Ingress()

        ownership = lifecycle.ownership
        for name in ("run", "hold", "serve", "resumed", "load", "save", "zero"):
            m.d.comb += getattr(self, name).eq(getattr(lifecycle, name))
        m.d.comb += [
            lifecycle.quiet.eq(self.quiet),
            lifecycle.scrubbed.eq(self.scrubbed),
            lifecycle.command.eq(self.command),
            channels.command.eq(self.command),
            faults.command.eq(self.command),
            self.reply.eq(
                lifecycle.reply.as_value() | channels.reply.as_value() | faults.reply.as_value()
            ),
            self.last.eq(ownership.last),
            self.own.eq(
                Cat(
                    (self.position.x - ownership.origin.x)[:4],
                    (self.position.y - ownership.origin.y)[:4],
                )
            ),
            channels.writable.eq(lifecycle.load | lifecycle.serve),
            channels.clear.eq(~(lifecycle.load | lifecycle.serve)),
            channels.guest.eq(self.guest),
            channels.levels.eq(self.levels),
            self.granted.eq(channels.granted),
            self.channel.eq(channels.channel),
            self.pending.eq(channels.pending),
        ]

        # A packet of the old owner may still finish its way while the cluster drains.
        alive = lifecycle.serve | lifecycle.drain
        for egress, inside, outside, allow in (
            (request_egress, self.request_out, self.mesh_request_out, lifecycle.serve),
            (response_egress, self.response_out, self.mesh_response_out, alive),
        ):
            m.d.comb += [
                egress.ownership.eq(ownership),
                egress.own.eq(self.own),
                egress.allow.eq(allow),
            ]
            connect(m, flipped(inside), egress.inside)
            connect(m, egress.outside, flipped(outside))
        for ingress, outside, inside in (
            (request_ingress, self.mesh_request_in, self.request_in),
            (response_ingress, self.mesh_response_in, self.response_in),
        ):
            m.d.comb += [ingress.owner.eq(ownership.owner), ingress.allow.eq(alive)]
            connect(m, flipped(outside), ingress.outside)
            connect(m, ingress.inside, flipped(inside))

        m.d.comb += [
            self.denied.eq(request_egress.denied),
            self.denied_core.eq(request_egress.denied_core),
            faults.events.eq(
                Cat(
                    *(
                        line
                        for egress in (request_egress, response_egress)
                        for line in (
                            egress.denied & ~egress.denied_state,
                            egress.denied & egress.denied_state,
                        )
                    ),
                    *(
                        line
                        for ingress in (request_ingress, response_ingress)
                        for line in (ingress.foreign, ingress.late)
                    ),
                    self.channel_denied,
                    self.channel_refused,
                    self.dropped,
                )
            ),
        ]
        return m
