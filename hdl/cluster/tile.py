# SPDX-License-Identifier: Apache-2.0
"""One compute cluster with its routers: the module that a machine is tiled with."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect
from amaranth.utils import bits_for

from blindvisor.hdl.cluster.core import make_core
from blindvisor.hdl.cluster.identity import Identity
from blindvisor.hdl.cluster.initiator import Initiator
from blindvisor.hdl.cluster.interconnect import Interconnect
from blindvisor.hdl.cluster.interrupts import InterruptController
from blindvisor.hdl.cluster.laneport import LanePort
from blindvisor.hdl.cluster.memory import ClusterMemory
from blindvisor.hdl.cluster.routers import NETWORKS, SIDES, add_routers
from blindvisor.hdl.cluster.scrubber import Scrubber
from blindvisor.hdl.cluster.target import Target
from blindvisor.hdl.cluster.window import Window
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import UP_FLIT, down_flit
from blindvisor.hdl.ionet.node import IoNode
from blindvisor.hdl.noc.packets import COORDINATES, FLIT
from blindvisor.hdl.smmu.smmu import Smmu

__all__ = ["Tile", "tile_signature"]


def tile_signature(config: MachineConfig) -> wiring.Signature:
    """Ports of a :class:`Tile`, for who instantiates its Verilog by name."""
    flits = stream.Signature(FLIT)
    links: dict[str, Any] = {}
    for network in NETWORKS:
        for side in SIDES:
            links[f"{network}_{side}_in"] = In(flits)
            links[f"{network}_{side}_out"] = Out(flits)
    return wiring.Signature(
        {
            "position": In(COORDINATES),
            "index": In(bits_for(config.clusters - 1)),
            "down": In(down_flit(config)),
            "up": Out(UP_FLIT),
            **links,
        }
    )


class Tile(wiring.Component):
    """Cores, memory, interrupts and network interface behind an SMMU, and the cluster's routers.

    All tiles of a machine are this one netlist; what differs comes in on ports that the top ties
    off.

    Members
    -------
    position : :py:`In(COORDINATES)`
        Place in the mesh, constant. Goes to SMMU and routers alone.
    index : :py:`In`
        Slot on the I/O network, constant.
    down, up : :py:`In(down_flit(config))`, :py:`Out(UP_FLIT)`
        The I/O network.
    request_north_in, request_north_out, ..., response_west_out : streams of FLIT
        Links to the neighbours.
    """

    position: data.View
    index: Signal
    down: data.View
    up: data.View

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        super().__init__(tile_signature(config))

    def elaborate(self, platform: object) -> Module:
        """Join the parts; every decision is inside one of them."""
        config = self._config
        m = Module()
        m.submodules.node = node = IoNode(config)
        m.submodules.smmu = smmu = Smmu(config)
        m.submodules.initiator = initiator = Initiator(cores=config.cores)
        m.submodules.target = target = Target()
        m.submodules.window = window = Window(cores=config.cores)
        m.submodules.interconnect = interconnect = Interconnect(config)
        m.submodules.memory = memory = ClusterMemory(words=config.memory_words)
        m.submodules.lane = lane = LanePort(words=config.memory_words)
        m.submodules.scrubber = scrubber = Scrubber(words=config.memory_words)
        m.submodules.identity = identity = Identity(config)
        m.submodules.interrupts = interrupts = InterruptController(
            cores=config.cores, guest_channels=config.guest_channels
        )

        add_routers(m, self, smmu, fifo_depth=self._config.fifo_depth)
        m.d.comb += [
            node.index.eq(self.index),
            node.down.eq(self.down),
            self.up.eq(node.up),
            smmu.position.eq(self.position),
            # Monitor lane. Whoever a command is not for answers zero.
            smmu.command.eq(node.command),
            lane.command.eq(node.command),
            node.reply.eq(smmu.reply.as_value() | lane.reply.as_value()),
            lane.load.eq(smmu.load),
            lane.save.eq(smmu.save),
            # Lifecycle.
            smmu.quiet.eq(~(initiator.busy | target.busy | window.busy | node.busy)),
            smmu.scrubbed.eq(scrubber.scrubbed),
            scrubber.zero.eq(smmu.zero),
            # Channels.
            smmu.guest.eq(window.guest),
            window.granted.eq(smmu.granted),
            window.channel.eq(smmu.channel),
            window.answer.eq(node.answer),
            window.start.eq(smmu.run),
            window.hold.eq(smmu.hold),
            smmu.channel_denied.eq(window.channel_denied),
            smmu.channel_refused.eq(window.channel_refused),
            smmu.levels.eq(node.interrupts),
            interrupts.pending.eq(smmu.pending),
            # Network interface.
            initiator.start.eq(smmu.run),
            initiator.hold.eq(smmu.hold),
            initiator.own.eq(smmu.own),
            initiator.denied.eq(smmu.denied),
            initiator.denied_core.eq(smmu.denied_core),
            target.serve.eq(smmu.serve),
            target.own.eq(smmu.own),
            # Guest-visible registers.
            interconnect.own.eq(smmu.own),
            interconnect.run.eq(smmu.run),
            interconnect.hold.eq(smmu.hold),
            identity.own.eq(smmu.own),
            identity.last.eq(smmu.last),
            identity.resumed.eq(smmu.resumed),
            identity.hold.eq(smmu.hold),
            identity.time.eq(interrupts.time),
            identity.denied.eq(smmu.denied | window.denied),
            identity.denied_address.eq(
                Mux(smmu.denied, initiator.denied_address, window.denied_address)
            ),
            interrupts.hold.eq(smmu.hold),
            interrupts.count.eq(smmu.run),
        ]
        connect(m, window.requests, node.request)
        connect(m, initiator.requests, smmu.request_out)
        connect(m, smmu.response_in, initiator.responses)
        connect(m, smmu.request_in, target.requests)
        connect(m, target.responses, smmu.response_out)
        connect(m, target.bus, interconnect.target)

        self._memory(m, interconnect, memory, lane, scrubber)
        self._registers(m, interconnect, identity, interrupts)
        for number in range(config.cores):
            m.submodules[f"core{number}"] = core = make_core(config)
            connect(m, core.fetch, interconnect.fetch[number])
            connect(m, core.data, interconnect.access[number])
            connect(m, interconnect.window[number], window.buses[number])
            connect(m, interconnect.remote[number], initiator.buses[number])
            m.d.comb += [
                core.reset.eq(smmu.hold),
                core.clear.eq(scrubber.write),
                core.clear_index.eq(scrubber.index),
                core.timer.eq(interrupts.timer[number]),
                core.software.eq(interrupts.software[number]),
                core.external.eq(interrupts.external[number]),
            ]
        return m

    def _memory(
        self,
        m: Module,
        interconnect: Interconnect,
        memory: ClusterMemory,
        lane: LanePort,
        scrubber: Scrubber,
    ) -> None:
        """Second port: the scrubber, else the lane, else the interconnect."""
        m.d.comb += [
            memory.fetch_address.eq(interconnect.fetch_address),
            interconnect.fetch_data.eq(memory.fetch_data),
            interconnect.read_data.eq(memory.read_data),
            lane.read_data.eq(memory.read_data),
            interconnect.blocked.eq(scrubber.write | lane.write | lane.read),
        ]
        with m.If(scrubber.write):
            m.d.comb += [memory.address.eq(scrubber.index), memory.write_enable.eq(0b1111)]
        with m.Elif(lane.write | lane.read):
            m.d.comb += [
                memory.address.eq(lane.address),
                memory.write_enable.eq(lane.write.replicate(4)),
                memory.write_data.eq(lane.write_data),
            ]
        with m.Else():
            m.d.comb += [
                memory.address.eq(interconnect.address),
                memory.write_enable.eq(interconnect.write_enable),
                memory.write_data.eq(interconnect.write_data),
            ]

    def _registers(
        self,
        m: Module,
        interconnect: Interconnect,
        identity: Identity,
        interrupts: InterruptController,
    ) -> None:
        """Per-core registers from 0x200 on, 0x20 for each core; the cluster's below."""
        bus = interconnect.registers
        per_core = Signal()
        was_per_core = Signal()
        m.d.comb += per_core.eq(bus.adr[9:] == 1)
        m.d.sync += was_per_core.eq(per_core)
        for slave, selected, address in (
            (identity.bus, ~per_core, bus.adr),
            (interrupts.bus, per_core, bus.adr[:9]),
        ):
            m.d.comb += [
                slave.stb.eq(bus.stb & selected),
                slave.we.eq(bus.we),
                slave.adr.eq(address),
                slave.core.eq(bus.core),
                slave.own.eq(bus.own),
                slave.dat_w.eq(bus.dat_w),
            ]
        m.d.comb += Cat(bus.dat_r, bus.err).eq(
            Mux(
                was_per_core,
                Cat(interrupts.bus.dat_r, interrupts.bus.err),
                Cat(identity.bus.dat_r, identity.bus.err),
            )
        )
