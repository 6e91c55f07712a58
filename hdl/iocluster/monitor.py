# SPDX-License-Identifier: Apache-2.0
"""Security monitor: the only thing in the machine that changes who owns what."""

from typing import Any

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.calls import CallPort, LoadPort
from blindvisor.hdl.iocluster.checks import check_state
from blindvisor.hdl.iocluster.guard import DENIED_WIDTH, ROW, UPDATE
from blindvisor.hdl.iocluster.images import image_states
from blindvisor.hdl.iocluster.passes import ClusterPass
from blindvisor.hdl.iocluster.sequences import Sequences
from blindvisor.hdl.iocluster.status import status_states
from blindvisor.hdl.iocluster.tables import OwnerTables
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.hdl.ionet.lane import LaneUser

__all__ = ["Monitor"]


class Monitor(wiring.Component):
    """Checks each call in full, then does it in passes over the clusters of one VM.

    The order of the checks and the passes of each call are in ``docs/interfaces.md``; the states
    are in :class:`Sequences`. The loader has the lane during a load or a save alone, and can then
    only place words or only read them: whatever else it asked for would go out as ADDRESS, which
    changes no state.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    calls : :py:`In(CallPort())`
        From the hypervisor's register file.
    lane : :py:`Out(LaneUser(config))`
        To the root of the I/O network.
    load, loader_lane : :py:`Out(LoadPort())`, :py:`In(LaneUser(config))`
        The loader.
    staging_opened, staging_limit : :py:`Out(1)`, :py:`Out(30)`
        To :class:`Staging`.
    saved_opened, saved_waiting : :py:`Out(1)`, :py:`In(1)`
        To :class:`SavedWords`, and from it: a word waits.
    update, rows, denied
        To and from :class:`ChannelGuard`, which keeps the table of channels.
    guard_cluster, guard_owner : :py:`In(index)`, :py:`Out(8)`
        Owner of a cluster, in the same cycle; 0: nobody.

    Notes
    -----
    P3: the table of owners changes with CLAIM and FREE only. P4: CLAIM is only sent to a cluster
    that the table gives to nobody. P5: FREE is only sent after the cluster said that it is clean;
    a VM that cannot be scrubbed keeps slot and clusters, in the state FAULTED. P6: LAUNCH is only
    sent for a VM whose image the loader found authentic. P8: what is not allowed by name is
    refused; a state that has no name does nothing.
    """

    calls: Any
    lane: Any
    load: Any
    loader_lane: Any
    staging_opened: Signal
    staging_limit: Signal
    saved_opened: Signal
    saved_waiting: Signal
    update: data.View
    rows: data.View
    denied: data.View
    guard_cluster: Signal
    guard_owner: Signal

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "calls": In(CallPort()),
                "lane": Out(LaneUser(config)),
                "load": Out(LoadPort()),
                "loader_lane": In(LaneUser(config)),
                "staging_opened": Out(1),
                "staging_limit": Out(30),
                "saved_opened": Out(1),
                "saved_waiting": In(1),
                "update": Out(UPDATE),
                "rows": In(data.ArrayLayout(ROW, config.channels)),
                "denied": In(data.ArrayLayout(DENIED_WIDTH, config.channels)),
                "guard_cluster": In(bits_for(config.clusters - 1)),
                "guard_owner": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join tables, passes and call sequences; lend the lane to the loader."""
        m = Module()
        m.submodules.tables = tables = OwnerTables(self.config)
        m.submodules.sweep = sweep = ClusterPass(self.config)
        m.d.comb += [
            tables.cluster.eq(sweep.cluster),
            tables.owner_write.eq(sweep.owner_write),
            tables.owner_next.eq(sweep.owner_next),
            sweep.owner.eq(tables.owner),
            tables.guard_cluster.eq(self.guard_cluster),
            self.guard_owner.eq(tables.guard_owner),
        ]
        sequences = Sequences(
            m,
            self.config,
            calls=self.calls,
            load=self.load,
            tables=tables,
            sweep=sweep,
            rows=self.rows,
            denied=self.denied,
        )
        with m.FSM():
            sequences.power_on()
            sequences.idle()
            check_state(m, sequences)
            sequences.create()
            sequences.change_state()
            image_states(m, sequences)
            sequences.destroy()
            sequences.channels()
            status_states(m, sequences)
        m.d.comb += [
            self.update.eq(sequences.update),
            self.staging_opened.eq(self.calls.loading),
            self.staging_limit.eq(sequences.arguments[1][2:]),
            self.saved_opened.eq(self.calls.saving),
            sequences.all_taken.eq(~self.saved_waiting),
        ]
        self._lend_lane(m, sweep, sequences)
        return m

    def _lend_lane(self, m: Module, sweep: ClusterPass, sequences: Sequences) -> None:
        """Multiplex the lane, and tell when every named command has been answered."""
        unanswered = Signal(range(64))  # the tree holds fewer than 32
        sent = self.lane.command.valid & self.lane.command.ready & self.lane.command.payload.named
        with m.If(sent & ~self.lane.reply_valid):
            m.d.sync += unanswered.eq(unanswered + 1)
        with m.Elif(~sent & self.lane.reply_valid):
            m.d.sync += unanswered.eq(unanswered - 1)
        m.d.comb += sequences.settled.eq(unanswered == 0)

        own, other = sweep.lane, self.loader_lane
        wanted = other.command.payload
        op = Signal(LaneOp)
        access = Mux(self.calls.saving, LaneOp.READ, LaneOp.WRITE)
        m.d.comb += [
            op.eq(Mux(wanted.op.as_value() == access, access, LaneOp.ADDRESS)),
            own.reply.eq(self.lane.reply),
            other.reply.eq(self.lane.reply),
        ]
        with m.If(sequences.lent):
            m.d.comb += [
                self.lane.command.payload.eq(Cat(wanted.data, op, C(1, 1), wanted.cluster)),
                self.lane.command.valid.eq(other.command.valid),
                other.command.ready.eq(self.lane.command.ready),
                other.reply_valid.eq(self.lane.reply_valid),
            ]
        with m.Else():
            m.d.comb += [
                self.lane.command.payload.eq(own.command.payload),
                self.lane.command.valid.eq(own.command.valid),
                own.command.ready.eq(self.lane.command.ready),
                own.reply_valid.eq(self.lane.reply_valid),
            ]
