# SPDX-License-Identifier: Apache-2.0
"""The monitor's memory: who owns each cluster, and what each VM slot holds."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.abi import VmState
from blindvisor.hdl.config import MachineConfig

__all__ = ["VM_RECORD", "OwnerTables"]

VM_RECORD = data.StructLayout(
    {"state": VmState, "x": 4, "y": 4, "width": 5, "height": 5, "resumed": 1}
)
"""One VM slot. All zeros: EMPTY. Machine coordinates and sizes are in clusters. ``resumed``: the
image accepted is a saved state."""


class OwnerTables(wiring.Component):
    """Two memories, cleared after reset, with one writer: the monitor.

    Parameters
    ----------
    config : :class:`MachineConfig`
        Rows: one per cluster, and one per VM number.

    Members
    -------
    ready : :py:`Out(1)`
        Both memories have been cleared; until then writes are ignored and all owners read as 0.
    cluster : :py:`In(index)`
        Row of the cluster table, for ``owner`` and for a write.
    owner : :py:`Out(8)`
        VM that owns ``cluster``, one cycle later; 0: nobody.
    owner_write, owner_next : :py:`In(1)`, :py:`In(8)`
        Changes the row ``cluster``.
    guard_cluster, guard_owner : :py:`In(index)`, :py:`Out(8)`
        The channel guard's own look at the cluster table, in the same cycle.
    vm, record : :py:`In(8)`, :py:`Out(VM_RECORD)`
        Row of the VM table, one cycle later. ``vm`` must not exceed ``config.vms``.
    record_write, record_next : :py:`In(1)`, :py:`In(VM_RECORD)`
        Changes the row ``vm``.

    Notes
    -----
    Block RAM keeps its contents over a reset, so the tables are cleared by writing, not by initial
    values. A read in the cycle of a write gives the old row.
    """

    ready: Signal
    cluster: Signal
    owner: Signal
    owner_write: Signal
    owner_next: Signal
    guard_cluster: Signal
    guard_owner: Signal
    vm: Signal
    record: data.View
    record_write: Signal
    record_next: data.View

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        index = bits_for(config.clusters - 1)
        super().__init__(
            {
                "ready": Out(1),
                "cluster": In(index),
                "owner": Out(8),
                "owner_write": In(1),
                "owner_next": In(8),
                "guard_cluster": In(index),
                "guard_owner": Out(8),
                "vm": In(8),
                "record": Out(VM_RECORD),
                "record_write": In(1),
                "record_next": In(VM_RECORD),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Share each write port between the clearing counter and the monitor."""
        m = Module()
        rows = max(self.config.clusters, self.config.vms + 1)
        m.submodules.clusters = clusters = Memory(shape=8, depth=self.config.clusters, init=[])
        m.submodules.vms = vms = Memory(shape=VM_RECORD, depth=self.config.vms + 1, init=[])
        owner_write, record_write = clusters.write_port(), vms.write_port()
        owner_read, guard_read = clusters.read_port(), clusters.read_port(domain="comb")
        record_read = vms.read_port()

        cleared = Signal(range(rows + 1))
        m.d.comb += self.ready.eq(cleared == rows)
        with m.If(~self.ready):
            m.d.sync += cleared.eq(cleared + 1)

        m.d.comb += [
            owner_read.addr.eq(self.cluster),
            guard_read.addr.eq(self.guard_cluster),
            record_read.addr.eq(self.vm),
            self.owner.eq(Mux(self.ready, owner_read.data, 0)),
            self.guard_owner.eq(Mux(self.ready, guard_read.data, 0)),
            self.record.eq(Mux(self.ready, record_read.data.as_value(), 0)),
        ]
        with m.If(self.ready):
            m.d.comb += [
                owner_write.addr.eq(self.cluster),
                owner_write.data.eq(self.owner_next),
                owner_write.en.eq(self.owner_write),
                record_write.addr.eq(self.vm),
                record_write.data.eq(self.record_next),
                record_write.en.eq(self.record_write),
            ]
        with m.Else():
            m.d.comb += [
                owner_write.addr.eq(cleared),
                owner_write.en.eq(cleared < self.config.clusters),
                record_write.addr.eq(cleared),
                record_write.en.eq(cleared < self.config.vms + 1),
            ]
        return m
