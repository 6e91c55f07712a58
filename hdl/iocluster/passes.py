# SPDX-License-Identifier: Apache-2.0
"""One pass of the monitor: the same command to every cluster of a rectangle, one by one."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import STATUS_REPLY, LaneOp
from blindvisor.hdl.ionet.lane import LaneUser

__all__ = ["ClusterPass", "Others", "Until", "pass_order"]


class Others(enum.Enum, shape=2):
    """What a pass does with a cluster that the table gives to another than ``holder``."""

    REFUSE = 0  # the pass fails there
    SKIP = 1  # no command to it, on to the next
    SERVE = 2  # like any other


class Until(enum.Enum, shape=2):
    """What a pass waits for at each cluster: bits of STATUS_REPLY."""

    REPLY = 0  # one reply
    DRAINED = 1
    CLEAN = 2


def pass_order(config: MachineConfig) -> data.StructLayout:
    """What a pass does: the rectangle from index ``first``, and the command for its clusters.

    ``broadcast``: one command to all clusters at once instead, without a reply. ``op`` NONE: no
    command, the table is looked at alone. CLAIM and FREE, once a cluster has replied ok, write
    ``owner`` and 0 to its row of the table. ``patient``: waiting has no limit.
    """
    return data.StructLayout(
        {
            "op": LaneOp,
            "broadcast": 1,
            "data": 32,
            "first": bits_for(config.clusters - 1),
            "width": 5,
            "height": 5,
            "holder": 8,
            "others": Others,
            "owner": 8,
            "until": Until,
            "patient": 1,
        }
    )


class ClusterPass(wiring.Component):
    """Goes over a rectangle of clusters and stops at the first that does not do as it must.

    The only place from which the table of owners is written, and that only for CLAIM and FREE
    (P3).

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    start : :py:`In(1)`
        Held, with a constant ``order``, until ``done``.
    order : :py:`In(pass_order(config))`
        What to do. The rectangle must lie in the mesh.
    done : :py:`Out(1)`
        High for one cycle, the last of ``start``.
    ok : :py:`Out(1)`
        With ``done``: every cluster did as it must, in the time allowed.
    reply, holder : :py:`Out(32)`, :py:`Out(8)`
        With ``done``: data of the last reply, and owner of the last cluster, by the table.
    lane : :py:`Out(LaneUser(config))`
        The monitor lane.
    cluster, owner, owner_write, owner_next
        The cluster side of :class:`OwnerTables`.

    Notes
    -----
    A wait at one cluster ends after :attr:`patience` cycles: four times what its scrub takes, and
    room for many frames of the I/O network. Scrubs run in all clusters at the same time.
    """

    start: Signal
    order: data.View
    done: Signal
    ok: Signal
    reply: Signal
    holder: Signal
    lane: Any
    cluster: Signal
    owner: Signal
    owner_write: Signal
    owner_next: Signal

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        self.patience = 4 * config.memory_words + 4096
        index = bits_for(config.clusters - 1)
        super().__init__(
            {
                "start": In(1),
                "order": In(pass_order(config)),
                "done": Out(1),
                "ok": Out(1),
                "reply": Out(32),
                "holder": Out(8),
                "lane": Out(LaneUser(config)),
                "cluster": Out(index),
                "owner": In(8),
                "owner_write": Out(1),
                "owner_next": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Walk row by row; look up, command, wait, step."""
        m = Module()
        order = self.order
        cluster, column, row = Signal.like(self.cluster), Signal(5), Signal(5)
        waited = Signal(range(self.patience + 1))
        with m.If(waited != self.patience):
            m.d.sync += waited.eq(waited + 1)

        status = data.View(STATUS_REPLY, self.lane.reply.data)
        served = Signal()
        with m.Switch(order.until):
            with m.Case(Until.REPLY):
                m.d.comb += served.eq(1)
            with m.Case(Until.DRAINED):
                m.d.comb += served.eq(status.drained)
            with m.Case(Until.CLEAN):
                m.d.comb += served.eq(status.clean)

        m.d.comb += [
            self.cluster.eq(cluster),
            self.lane.command.payload.eq(Cat(order.data, order.op, ~order.broadcast, cluster)),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [cluster.eq(order.first), column.eq(0), row.eq(0), waited.eq(0)]
                with m.If(self.start & order.broadcast):
                    m.next = "COMMAND"
                with m.Elif(self.start):
                    m.next = "LOOKUP"
            with m.State("LOOKUP"):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.sync += self.holder.eq(self.owner)
                with m.If((self.owner == order.holder) | (order.others == Others.SERVE)):
                    with m.If(order.op == LaneOp.NONE):
                        m.next = "STEP"
                    with m.Else():
                        m.next = "COMMAND"
                with m.Elif(order.others == Others.SKIP):
                    m.next = "STEP"
                with m.Else():
                    m.next = "FAILED"
            with m.State("COMMAND"):
                m.d.comb += self.lane.command.valid.eq(1)
                with m.If(self.lane.command.ready):
                    with m.If(order.broadcast):
                        m.next = "PASSED"
                    with m.Else():
                        m.next = "REPLY"
            with m.State("REPLY"):
                with m.If(self.lane.reply_valid):
                    m.d.sync += self.reply.eq(self.lane.reply.data)
                    with m.If(~self.lane.reply.ok):
                        m.next = "FAILED"
                    with m.Elif(served):
                        m.d.comb += [
                            self.owner_write.eq(
                                (order.op == LaneOp.CLAIM) | (order.op == LaneOp.FREE)
                            ),
                            self.owner_next.eq(Mux(order.op == LaneOp.CLAIM, order.owner, 0)),
                        ]
                        m.next = "STEP"
                    with m.Elif((waited == self.patience) & ~order.patient):
                        m.next = "FAILED"
                    with m.Else():
                        m.next = "COMMAND"
            with m.State("STEP"):
                m.d.sync += [waited.eq(0), column.eq(column + 1), cluster.eq(cluster + 1)]
                m.next = "LOOKUP"
                with m.If(column + 1 == order.width):
                    m.d.sync += [
                        column.eq(0),
                        row.eq(row + 1),
                        cluster.eq(cluster + self.config.width + 1 - order.width),
                    ]
                    with m.If(row + 1 == order.height):
                        m.next = "PASSED"
            with m.State("PASSED"):
                m.d.comb += [self.done.eq(1), self.ok.eq(1)]
                m.next = "IDLE"
            with m.State("FAILED"):
                m.d.comb += self.done.eq(1)
                m.next = "IDLE"
        return m
