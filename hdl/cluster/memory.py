# SPDX-License-Identifier: Apache-2.0
"""A cluster's memory: true dual-port block RAM."""

from amaranth import Module, Signal, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

__all__ = ["MEMORY_NAME", "ClusterMemory"]

MEMORY_NAME = "cluster_memory"
"""Name of the array in the Verilog. The generator drops its initial contents: after power-on they
are whatever they are, and the scrubber deals with them (P5)."""


class ClusterMemory(wiring.Component):
    """Words for the cores: one port to fetch instructions, one for everything else.

    Parameters
    ----------
    words : :class:`int`
        Size in 32-bit words, a power of two.

    Members
    -------
    fetch_address : :py:`In`, fetch_data : :py:`Out(32)`
        Read port; the data belongs to the address of the cycle before.
    address : :py:`In`, read_data : :py:`Out(32)`
        Second port; likewise.
    write_enable : :py:`In(4)`, write_data : :py:`In(32)`
        Byte lanes to write at ``address``.
    """

    fetch_address: Signal
    fetch_data: Signal
    address: Signal
    read_data: Signal
    write_enable: Signal
    write_data: Signal

    def __init__(self, *, words: int) -> None:
        self._words = words
        width = ceil_log2(words)
        super().__init__(
            {
                "fetch_address": In(width),
                "fetch_data": Out(32),
                "address": In(width),
                "read_data": Out(32),
                "write_enable": In(4),
                "write_data": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The second port is a read and a write port at one address, which synthesis merges."""
        m = Module()
        array = memory.Memory(shape=unsigned(32), depth=self._words, init=[])
        m.submodules[MEMORY_NAME] = array
        fetch = array.read_port()
        read = array.read_port()
        write = array.write_port(granularity=8)
        m.d.comb += [
            fetch.addr.eq(self.fetch_address),
            self.fetch_data.eq(fetch.data),
            read.addr.eq(self.address),
            read.en.eq(self.write_enable == 0),
            self.read_data.eq(read.data),
            write.addr.eq(self.address),
            write.en.eq(self.write_enable),
            write.data.eq(self.write_data),
        ]
        return m
