# SPDX-License-Identifier: Apache-2.0
"""TTY channel: bytes between a VM and a terminal."""

from typing import Any

from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import ChannelKind
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.channel import ChannelEnd, ChannelPort, add_buffer

__all__ = ["TtyChannel"]


class TtyChannel(wiring.Component):
    """A byte pipe in each direction, ``config.channel_depth`` bytes deep.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    guest : :py:`Out(ChannelPort())`
        The owner's end; a clear drops all bytes of both directions.
    out : :py:`Out(stream.Signature(8))`
        Bytes that the guest wrote. A clear withdraws an offer.
    input : :py:`In(stream.Signature(8))`
        Bytes for the guest; held off while full.
    """

    guest: Any
    out: stream.Interface
    input: stream.Interface

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "guest": Out(ChannelPort()),
                "out": Out(stream.Signature(8)),
                "input": In(stream.Signature(8)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Put a FIFO on either side of the registers."""
        m = Module()
        m.submodules.end = end = ChannelEnd(width=8, kind=ChannelKind.TTY)
        wiring.connect(m, end.port, wiring.flipped(self.guest))
        depth, clear = self.config.channel_depth, self.guest.clear
        add_buffer(m, "typed", source=self.input, sink=end.arriving, depth=depth, clear=clear)
        add_buffer(m, "printed", source=end.leaving, sink=self.out, depth=depth, clear=clear)
        return m
