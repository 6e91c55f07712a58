# SPDX-License-Identifier: Apache-2.0
"""A cluster without a core: the real SMMU, routers, network interface and I/O leaf around a small
memory and a traffic master."""

from typing import Any

from amaranth import Module, ResetInserter, Signal, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out, connect

from blindvisor.fpga.fabric_master import TrafficMaster
from blindvisor.hdl.cluster.initiator import Initiator
from blindvisor.hdl.cluster.routers import add_routers
from blindvisor.hdl.cluster.scrubber import Scrubber
from blindvisor.hdl.cluster.target import Target
from blindvisor.hdl.cluster.tile import tile_signature
from blindvisor.hdl.cluster.window import Window
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.node import IoNode
from blindvisor.hdl.smmu.smmu import Smmu

__all__ = ["FabricTile"]


class FabricTile(wiring.Component):
    """Ports of a :class:`~blindvisor.hdl.cluster.tile.Tile`, and two wires of the traffic master.

    Members
    -------
    attack : :py:`In(1)`, wrong : :py:`Out(1)`
        As in :class:`TrafficMaster`.

    Notes
    -----
    There is no lane port: images are not loaded here, and memory is scrubbed as in the real tile.
    """

    position: data.View
    index: Signal
    down: data.View
    up: data.View
    attack: Signal
    wrong: Signal

    def __init__(self, config: MachineConfig, *, pattern: int, pause: int) -> None:
        self._config = config
        self._pattern = pattern
        self._pause = pause
        super().__init__(
            dict(tile_signature(config).members.items()) | {"attack": In(1), "wrong": Out(1)}
        )

    def elaborate(self, platform: object) -> Module:
        """Join the parts as the tile does."""
        config = self._config
        words = config.memory_words
        m = Module()
        m.submodules.node = node = IoNode(config)
        m.submodules.smmu = smmu = Smmu(config)
        m.submodules.initiator = initiator = Initiator(cores=1)
        m.submodules.target = target = Target()
        m.submodules.window = window = Window(cores=1)
        m.submodules.scrubber = scrubber = Scrubber(words=words)
        master = TrafficMaster(words=words, pattern=self._pattern, pause=self._pause)
        m.submodules.master = ResetInserter(smmu.hold)(master)
        add_routers(m, self, smmu, fifo_depth=self._config.fifo_depth)
        self._memory(m, scrubber, target, master)
        m.d.comb += [
            node.index.eq(self.index),
            node.down.eq(self.down),
            self.up.eq(node.up),
            smmu.position.eq(self.position),
            smmu.command.eq(node.command),
            node.reply.eq(smmu.reply),
            smmu.quiet.eq(~(initiator.busy | target.busy | window.busy | node.busy)),
            smmu.scrubbed.eq(scrubber.scrubbed),
            scrubber.zero.eq(smmu.zero),
            smmu.guest.eq(window.guest),
            window.granted.eq(smmu.granted),
            window.channel.eq(smmu.channel),
            window.answer.eq(node.answer),
            window.start.eq(smmu.run),
            window.hold.eq(smmu.hold),
            smmu.channel_denied.eq(window.channel_denied),
            smmu.channel_refused.eq(window.channel_refused),
            smmu.levels.eq(node.interrupts),
            initiator.start.eq(smmu.run),
            initiator.hold.eq(smmu.hold),
            initiator.own.eq(smmu.own),
            initiator.denied.eq(smmu.denied),
            initiator.denied_core.eq(smmu.denied_core),
            target.serve.eq(smmu.serve),
            target.own.eq(smmu.own),
            master.run.eq(smmu.run),
            master.attack.eq(self.attack),
            self.wrong.eq(master.wrong),
        ]
        connect(m, window.requests, node.request)
        connect(m, master.remote, initiator.buses[0])
        connect(m, master.window, window.buses[0])
        connect(m, initiator.requests, smmu.request_out)
        connect(m, smmu.response_in, initiator.responses)
        connect(m, smmu.request_in, target.requests)
        connect(m, target.responses, smmu.response_out)
        return m

    def _memory(self, m: Module, scrubber: Scrubber, target: Target, master: TrafficMaster) -> None:
        """One port: the scrubber, else the other clusters of the VM, else the master."""
        words = self._config.memory_words
        bus: Any = target.bus
        inside = Signal()
        answered = Signal()
        m.submodules.memory = array = memory.Memory(shape=unsigned(32), depth=words, init=[])
        write, read = array.write_port(), array.read_port()
        m.d.comb += [
            inside.eq(bus.stb & (bus.adr < words) & ~answered),
            read.addr.eq(write.addr),
            read.en.eq(~write.en),
            bus.dat_r.eq(read.data),
            bus.ack.eq(answered),
            bus.err.eq(bus.stb & (bus.adr >= words)),
            master.read_data.eq(read.data),
            master.grant.eq(~scrubber.write & ~bus.stb),
        ]
        m.d.sync += answered.eq(inside)
        with m.If(scrubber.write):
            m.d.comb += [write.addr.eq(scrubber.index), write.en.eq(1)]
        with m.Elif(bus.stb):
            m.d.comb += [
                write.addr.eq(bus.adr),
                write.data.eq(bus.dat_w),
                write.en.eq(inside & bus.we),
            ]
        with m.Else():
            m.d.comb += [
                write.addr.eq(master.address),
                write.data.eq(master.write_data),
                write.en.eq(master.write),
            ]
