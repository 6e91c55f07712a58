# SPDX-License-Identifier: Apache-2.0
"""Properties of the cores' way to I/O channels, for every access and every channel table."""

from amaranth import Cat, Const, Module, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.cluster.window import Window
from blindvisor.hdl.ionet.flits import LEAF_ANSWER

__all__ = ["WindowSpec"]


class WindowSpec(wiring.Component):
    """Follows the accesses of the one core of a cluster.

    Claims
    ------
    P10-GRANTED
        A request leaves only while the table says that the guest channel of the access means
        something, and then for that channel, the register, direction and data of the access.
    P10-KEPT
        What the wires to table, leaf and fault registers tell of an access stays until the next
        one is taken, whatever the core does meanwhile; a reset makes it zero.
    P10-WHOLE
        Part-word accesses and offsets that are no register never leave.
    P8-ONE-ANSWER
        Each access is answered once: with the root's answer, or with an error if it does not leave.
    P9-DENIED
        An access that does not leave for want of a channel is reported once, and so is one that
        the root refused; no other is.
    P5-BUSY
        ``busy`` is set from the cycle after an access is taken to its answer.

    Nothing is assumed. Not covered: which of several cores is served (``hdl/arbiter.py``).
    """

    stb: Signal
    we: Signal
    adr: Signal
    sel: Signal
    dat_w: Signal
    start: Signal
    granted: Signal
    channel: Signal
    ready: Signal
    answer: data.View

    def __init__(self) -> None:
        self.dut = Window(cores=1)
        super().__init__(
            {
                "stb": In(1),
                "we": In(1),
                "adr": In(30),
                "sel": In(4),
                "dat_w": In(32),
                "start": In(1),
                "granted": In(1),
                "channel": In(4),
                "ready": In(1),
                "answer": In(LEAF_ANSWER),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Keep the access, and what became of it."""
        m = Module()
        m.submodules.dut = dut = self.dut
        bus = dut.buses[0]
        for name in ("stb", "we", "adr", "sel", "dat_w"):
            m.d.comb += getattr(bus, name).eq(getattr(self, name))
        m.d.comb += [
            dut.start.eq(self.start),
            dut.granted.eq(self.granted),
            dut.channel.eq(self.channel),
            dut.requests.ready.eq(self.ready),
            dut.answer.eq(self.answer),
        ]
        busy = Signal()
        gone = Signal()  # to the root
        access = Signal(data.StructLayout({"we": 1, "adr": 30, "sel": 4, "dat_w": 32}))
        with m.If(~busy & self.stb & self.start):
            m.d.sync += [
                busy.eq(1),
                access.eq(Cat(self.we, self.adr, self.sel, self.dat_w)),
            ]
        leaves = dut.requests.valid & dut.requests.ready
        with m.If(leaves):
            m.d.sync += gone.eq(1)
        over = Signal()
        m.d.comb += over.eq(bus.ack | bus.err)
        with m.If(over):
            m.d.sync += [busy.eq(0), gone.eq(0)]

        page = access.adr[14:22]
        known = Signal()
        whole = Signal()
        m.d.comb += [
            known.eq(self.granted & (page[4:6] == 0)),
            whole.eq((access.sel == 0b1111) & (access.adr[2:14] == 0)),
        ]
        request = dut.requests
        with m.If(request.valid):
            m.d.comb += [
                Assert(busy & ~gone & known, "P10-GRANTED"),
                Assert(request.payload.channel == self.channel, "P10-GRANTED"),
                Assert(whole, "P10-WHOLE"),
            ]
        m.d.comb += [
            Assert(request.payload.register == Cat(Const(0, 2), access.adr[:2]), "P10-KEPT"),
            Assert(request.payload.write == access.we, "P10-KEPT"),
            Assert(request.payload.data == access.dat_w, "P10-KEPT"),
            Assert(dut.guest == page[:4], "P10-KEPT"),
            Assert(dut.denied_address == access.adr, "P10-KEPT"),
        ]
        rejected = Signal()
        m.d.comb += rejected.eq(busy & ~gone & (~known | ~whole))
        m.d.comb += [
            Assert(dut.busy == busy, "P5-BUSY"),
            Assert(
                ~(bus.ack & bus.err) & (~bus.ack | (bus.dat_r == self.answer.data)),
                "P8-ONE-ANSWER",
            ),
            Assert(over == (rejected | (gone & self.answer.valid)), "P8-ONE-ANSWER"),
            Assert(~over | (bus.ack == (gone & ~self.answer.error)), "P8-ONE-ANSWER"),
            Assert(dut.channel_denied == (rejected & ~known), "P9-DENIED"),
            Assert(dut.channel_refused == (gone & bus.err), "P9-DENIED"),
            Assert(dut.denied == ((rejected & ~known) | (gone & bus.err)), "P9-DENIED"),
            Cover(bus.ack & access.we, "a write is answered"),
            Cover(dut.channel_refused, "the root refuses"),
            Cover(rejected & known, "part of a word"),
            Cover(dut.channel_denied & whole, "no channel"),
        ]
        return m
