# SPDX-License-Identifier: Apache-2.0
"""The I/O cluster: everything of the machine that is not in a compute cluster, put together."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.attest import AttestChannel
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.hdl.iocluster.guard import ChannelGuard
from blindvisor.hdl.iocluster.mailbox import MailboxChannel
from blindvisor.hdl.iocluster.monitor import Monitor
from blindvisor.hdl.iocluster.port import HypervisorPort
from blindvisor.hdl.iocluster.saved import SavedWords
from blindvisor.hdl.iocluster.staging import Staging
from blindvisor.hdl.iocluster.tty import TtyChannel
from blindvisor.hdl.iocluster.tty_mux import TTY_BYTE, TtyMux
from blindvisor.hdl.ionet.flits import UP_FLIT, down_flit
from blindvisor.hdl.ionet.root import IoRoot
from blindvisor.hdl.loader.loader import Loader
from blindvisor.hdl.loader.store import StorePort

__all__ = ["IoCluster"]


class IoCluster(wiring.Component):
    """Hypervisor's port, monitor, loader, channels and the root of the I/O network.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    hypervisor : :py:`In(HypervisorBus())`
        The hypervisor's only access to the machine.
    interrupt : :py:`Out(1)`
        A monitor call has ended (bit 1 of STATUS).
    root_key : :py:`In(256)`
        From the key store. Goes to the loader and nowhere else (P7).
    epoch, epoch_valid : :py:`In(64)`, :py:`In(1)`
        From the key store: the number of this power-on, which it gives no second time.
    store : :py:`Out(StorePort(config))`
        What the machine remembers of each VM identity.
    down, up : :py:`Out(down_flit(config))`, :py:`In(UP_FLIT)`
        The I/O network's tree.
    tty_out, tty_in : :py:`Out(stream.Signature(TTY_BYTE))`, :py:`In(stream.Signature(TTY_BYTE))`
        The terminals.
    """

    hypervisor: Any
    interrupt: Signal
    root_key: Signal
    epoch: Signal
    epoch_valid: Signal
    store: Any
    down: data.View
    up: data.View
    tty_out: stream.Interface
    tty_in: stream.Interface

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "hypervisor": In(HypervisorBus()),
                "interrupt": Out(1),
                "root_key": In(256),
                "epoch": In(64),
                "epoch_valid": In(1),
                "store": Out(StorePort(config)),
                "down": Out(down_flit(config)),
                "up": In(UP_FLIT),
                "tty_out": Out(stream.Signature(TTY_BYTE)),
                "tty_in": In(stream.Signature(TTY_BYTE)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join the parts; there is no logic here."""
        m = Module()
        config = self.config
        m.submodules.port = port = HypervisorPort(config)
        m.submodules.staging = staging = Staging(config)
        m.submodules.saved = saved = SavedWords()
        m.submodules.monitor = monitor = Monitor(config)
        # Type checkers do not know what it elaborates to.
        loader: Any = Loader(config, sboxes=config.loader_sboxes, digit=config.loader_digit)
        m.submodules.loader = loader
        m.submodules.guard = guard = ChannelGuard(config)
        m.submodules.root = root = IoRoot(config)
        m.submodules.tty_mux = tty_mux = TtyMux(config)

        connect(m, flipped(self.hypervisor), port.bus)
        connect(m, port.calls, monitor.calls)
        connect(m, staging.words, loader.staging)
        connect(m, loader.saved, saved.words)
        connect(m, loader.store, flipped(self.store))
        connect(m, loader.lane, monitor.loader_lane)
        connect(m, monitor.lane, root.lane)
        connect(m, root.service, guard.root)
        connect(m, tty_mux.tty_out, flipped(self.tty_out))
        connect(m, flipped(self.tty_in), tty_mux.tty_in)
        m.d.comb += [
            self.interrupt.eq(port.interrupt),
            self.down.eq(root.down),
            root.up.eq(self.up),
            staging.opened.eq(monitor.staging_opened),
            staging.limit.eq(monitor.staging_limit),
            staging.write.eq(port.staging_write),
            staging.data.eq(port.staging_data),
            port.staging_space.eq(staging.space),
            saved.opened.eq(monitor.saved_opened),
            saved.read.eq(port.saved_read),
            port.saved_data.eq(saved.data),
            port.saved_count.eq(saved.count),
            monitor.saved_waiting.eq(saved.count != 0),
            loader.root_key.eq(self.root_key),
            loader.epoch.eq(self.epoch),
            loader.epoch_valid.eq(self.epoch_valid),
            monitor.guard_cluster.eq(guard.lookup),
            guard.owner.eq(monitor.guard_owner),
            guard.update.eq(monitor.update),
            monitor.rows.eq(guard.rows),
            monitor.denied.eq(guard.denied),
        ]
        for name in ("start", "save", "vm", "x", "y", "width", "height", "length", "abort"):
            m.d.comb += getattr(loader, name).eq(getattr(monitor.load, name))
        for name in ("busy", "done", "result", "resumed"):
            m.d.comb += getattr(monitor.load, name).eq(getattr(loader, name))

        for n in range(config.tty_channels):
            m.submodules[f"tty{n}"] = tty = TtyChannel(config)
            connect(m, guard.channels[n], tty.guest)
            connect(m, tty.out, tty_mux.printed[n])
            connect(m, tty_mux.typed[n], tty.input)
            m.d.comb += tty_mux.clear[n].eq(guard.channels[n].clear)
        for n in range(config.mailbox_channels):
            m.submodules[f"mailbox{n}"] = mailbox = MailboxChannel(config)
            connect(m, guard.channels[config.tty_channels + n], mailbox.guest)
            connect(m, port.mailboxes[n], mailbox.hypervisor)
        if config.attest_channels:
            attest: Any = AttestChannel()
            m.submodules.attest = attest
            connect(m, guard.channels[config.channels - 1], attest.guest)
            connect(m, attest.report, loader.report)
            m.d.comb += attest.vm.eq(guard.rows[config.channels - 1].owner)
        return m
