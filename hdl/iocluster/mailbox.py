# SPDX-License-Identifier: Apache-2.0
"""Mailbox channel: words between a VM and the hypervisor."""

from typing import Any

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from blindvisor.hdl.abi import ChannelKind
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.channel import AccessPort, ChannelEnd, ChannelPort, add_buffer

__all__ = ["MailboxChannel"]


class MailboxChannel(wiring.Component):
    """A word pipe in each direction, ``config.channel_depth`` words deep.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    guest : :py:`Out(ChannelPort())`
        The owner's end; a clear drops all words of both directions.
    hypervisor : :py:`Out(AccessPort())`
        The hypervisor's end: STATUS and DATA, with its own directions.

    Notes
    -----
    The hypervisor reaches the guest's interrupt only by writing a word into a channel that the
    guest owns and has enabled (P11).
    """

    guest: Any
    hypervisor: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__({"guest": Out(ChannelPort()), "hypervisor": Out(AccessPort())})

    def elaborate(self, platform: object) -> Module:
        """Put a FIFO each way between two ends."""
        m = Module()
        m.submodules.guest_end = guest = ChannelEnd(width=32, kind=ChannelKind.MAILBOX)
        m.submodules.hypervisor_end = hypervisor = ChannelEnd(width=32, kind=None)
        wiring.connect(m, guest.port, wiring.flipped(self.guest))
        m.d.comb += [
            hypervisor.port.access.eq(self.hypervisor.access),
            self.hypervisor.answer.eq(hypervisor.port.answer),
        ]
        depth, clear = self.config.channel_depth, self.guest.clear
        for name, source, sink in (
            ("to_hypervisor", guest.leaving, hypervisor.arriving),
            ("to_guest", hypervisor.leaving, guest.arriving),
        ):
            add_buffer(m, name, source=source, sink=sink, depth=depth, clear=clear)
        return m
