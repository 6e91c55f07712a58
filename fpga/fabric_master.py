# SPDX-License-Identifier: Apache-2.0
"""Stands in for a core where none fits: uses its own memory and channel, attacks when told to."""

from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from blindvisor.hdl.abi import WINDOW_OFFSET, ChannelRegister
from blindvisor.hdl.cluster.bus import LocalBus

__all__ = ["TrafficMaster"]

NEIGHBOUR = 0x1000_0000 >> 2  # guest cluster (1, 0), word 0
OWN_WINDOW = (0xFF00_0000 | WINDOW_OFFSET | ChannelRegister.DATA.value) >> 2


class TrafficMaster(wiring.Component):
    """Writes and reads back its memory for ever; now and then uses its channel, or attacks.

    Parameters
    ----------
    words : :class:`int`
        Of the cluster's memory.
    pattern : :class:`int`
        A byte that is in every word that this master writes.
    pause : :class:`int`
        Bits of the counter between two uses of the channel.

    Members
    -------
    run : :py:`In(1)`
        The cluster's VM runs; else everything here is in reset.
    attack : :py:`In(1)`
        One cycle: read, as soon as possible, the word 0 of the guest cluster (1, 0), which is
        outside of a VM of one cluster.
    address, write, write_data, read_data : own memory
        ``read_data`` belongs to the address of the cycle before. Port is free while ``grant``.
    grant : :py:`In(1)`
        Nobody else uses the memory in this cycle.
    remote, window : :py:`Out(LocalBus(address_width=30))`
        Other clusters; the I/O window.
    wrong : :py:`Out(1)`
        Since reset: a word was not as written, or an attack was answered with data.
    """

    run: Signal
    attack: Signal
    address: Signal
    write: Signal
    write_data: Signal
    read_data: Signal
    grant: Signal
    remote: Any
    window: Any
    wrong: Signal

    def __init__(self, *, words: int, pattern: int, pause: int) -> None:
        self._pattern = pattern
        self._pause = pause
        super().__init__(
            {
                "run": In(1),
                "attack": In(1),
                "address": Out(ceil_log2(words)),
                "write": Out(1),
                "write_data": Out(32),
                "read_data": In(32),
                "grant": In(1),
                "remote": Out(LocalBus(address_width=30)),
                "window": Out(LocalBus(address_width=30)),
                "wrong": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Three independent loops: memory, channel, attack."""
        m = Module()
        expected = Cat(self.address, Const(0, 24 - len(self.address)), Const(self._pattern, 8))
        with m.FSM(name="memory"):
            with m.State("WRITE"):
                m.d.comb += self.write.eq(self.run)
                with m.If(self.run & self.grant):
                    m.next = "READ"
            with m.State("READ"):
                with m.If(self.grant):
                    m.next = "COMPARE"
            with m.State("COMPARE"):
                with m.If(self.run & (self.read_data != expected)):
                    m.d.sync += self.wrong.eq(1)
                m.d.sync += self.address.eq(self.address + 1)
                m.next = "WRITE"
        m.d.comb += self.write_data.eq(expected)

        count = Signal(self._pause + 1)
        with m.If(self.window.stb):
            with m.If(self.window.ack | self.window.err):
                m.d.sync += self.window.stb.eq(0)
        with m.Elif(self.run):
            m.d.sync += [count.eq(count + 1), self.window.stb.eq(count[: self._pause].all())]
        m.d.comb += [
            self.window.we.eq(1),
            self.window.sel.eq(0xF),
            self.window.adr.eq(OWN_WINDOW),
            self.window.dat_w.eq(count[-1]),
        ]

        with m.If(self.remote.ack | self.remote.err):
            m.d.sync += self.remote.stb.eq(0)
            with m.If(self.remote.ack):
                m.d.sync += self.wrong.eq(1)
        with m.Elif(self.attack & self.run):
            m.d.sync += self.remote.stb.eq(1)
        m.d.comb += [self.remote.sel.eq(0xF), self.remote.adr.eq(NEIGHBOUR)]
        return m
