# SPDX-License-Identifier: Apache-2.0
"""Properties of the channel guard, for every table, every device and every request."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.channel import ACCESS
from blindvisor.hdl.iocluster.guard import DENIED_WIDTH, ROW, UPDATE, ChannelGuard
from blindvisor.hdl.ionet.service import ANSWER, REQUEST
from blindvisor.verification.formal.inner import opened

__all__ = ["ChannelGuardSpec"]


class ChannelGuardSpec(wiring.Component):
    """Follows one channel, any one (``watched``); the solver plays root, monitor and devices.

    Claims
    ------
    P10-OWNER
        The device sees an access exactly when its owner's cluster asks for this channel, and sees
        what was asked. Nobody (0) owns nothing.
    P10-ANSWER
        The asking cluster gets the device's answer.
    P10-CLEAR
        The device is cleared in the cycle in which its row is written, and in no other.
    P8-ERROR
        Every other request gets an error and no data, and without a request there is no answer.
    P9-COUNT
        Each request refused for want of ownership counts one, up to the largest value.
    P11-OWNER
        A cluster sees the device's interrupt exactly when its owner owns the channel.
    INVARIANT
        What the induction rests on: the guard knows the owner that was looked up.

    Assumed: ``watched`` is constant. Not covered: whether the owner that the monitor looks up is
    right.
    """

    watched: Signal
    cluster: Signal
    request: data.View
    owner: Signal
    update: data.View
    answers: list[Any]
    interrupts: Signal

    def __init__(self, config: MachineConfig) -> None:
        self.dut = dut = ChannelGuard(config)
        super().__init__(
            {
                "watched": In(range(config.channels)),
                "cluster": In(dut.lookup.shape()),
                "request": In(REQUEST),
                "owner": In(8),
                "update": In(UPDATE),
                "answers": In(ANSWER).array(config.channels),
                "interrupts": In(config.channels),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Keep the watched channel's owner and the asking cluster's in words of their own."""
        m = Module()
        dut = self.dut
        m.submodules.dut, registers = opened(dut)
        m.d.comb += [
            dut.root.cluster.eq(self.cluster),
            dut.root.request.eq(self.request),
            dut.owner.eq(self.owner),
            dut.update.eq(self.update),
        ]
        for n, device in enumerate(dut.channels):
            m.d.comb += [
                device.answer.eq(self.answers[n]),
                device.interrupt.eq(self.interrupts[n]),
            ]

        started, was_watched = Signal(), Signal.like(self.watched)
        m.d.sync += [started.eq(1), was_watched.eq(self.watched)]
        m.d.comb += [
            Assume(~started | (self.watched == was_watched), "watched is constant"),
            Assume(self.watched < len(dut.channels), "watched is a channel"),
        ]

        def pick(ports: Any) -> Any:
            return Array(Value.cast(port) for port in ports)[self.watched]

        access, answer, row = Signal(ACCESS), Signal(ANSWER), Signal(ROW)
        m.d.comb += [
            access.eq(pick(device.access for device in dut.channels)),
            answer.eq(pick(self.answers)),
            row.eq(pick(dut.rows)),
        ]
        asker, owner, written = Signal(8), Signal(8), Signal()
        guest = Signal(4)
        m.d.comb += written.eq(self.update.valid & (self.update.channel == self.watched))
        m.d.sync += asker.eq(self.owner)
        with m.If(written):
            m.d.sync += [owner.eq(self.update.row.owner), guest.eq(self.update.row.guest)]
        entitled = (asker == owner) & (owner != 0)

        asked = self.request.payload
        for_watched = self.request.valid & (asked.channel == self.watched)
        past_the_last = self.request.valid & (asked.channel >= len(dut.channels))
        wanted = Cat(1, asked.write, asked.register, asked.data)
        m.d.comb += [
            Assert(
                (row.owner == owner) & (row.guest == guest),
                "P10-OWNER: the table is what the monitor wrote",
            ),
            Assert(registers["owner"] == asker, "INVARIANT"),
            Assert(dut.lookup == self.cluster, "P10-OWNER: of the cluster that asks"),
            Assert(
                access.as_value() == Mux(for_watched & entitled, wanted, 0),
                "P10-OWNER",
            ),
            Assert(
                pick(device.clear for device in dut.channels) == written,
                "P10-CLEAR",
            ),
            Assert(
                dut.root.interrupts.bit_select(self.watched, 1)
                == (entitled & self.interrupts.bit_select(self.watched, 1)),
                "P11-OWNER",
            ),
        ]
        told = dut.root.answer
        with m.If(for_watched & entitled):
            m.d.comb += Assert(told == answer, "P10-ANSWER")
        with m.Elif(for_watched | past_the_last):
            m.d.comb += Assert(told == ANSWER.const({"error": 1}), "P8-ERROR")
        with m.If(~self.request.valid):
            m.d.comb += Assert(Value.cast(told) == 0, "P8-ERROR")

        count, most = Signal(DENIED_WIDTH), 2**DENIED_WIDTH - 1
        with m.If(for_watched & ~entitled & (count != most)):
            m.d.sync += count.eq(count + 1)
        m.d.comb += Assert(pick(dut.denied) == count, "P9-COUNT")

        m.d.comb += [
            Cover(for_watched & entitled & (self.watched == len(dut.channels) - 1), "served"),
            Cover(for_watched & ~entitled & (owner != 0), "refused"),
        ]
        return m
