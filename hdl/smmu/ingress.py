# SPDX-License-Identifier: Apache-2.0
"""The check of packets that arrive at a cluster."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.noc.packets import FLIT, REQUEST_HEAD

__all__ = ["Ingress"]


class Ingress(wiring.Component):
    """Lets a packet in only if its stamp is this cluster's owner; drops any other one whole.

    Egress alone should make foreign packets impossible. This check does not rely on it.

    Members
    -------
    owner : :py:`In(8)`
        VM that owns this cluster; 0 lets nothing in.
    allow : :py:`In(1)`
        The cluster's state lets packets in. Matters in the cycle of a head flit alone.
    outside : :py:`In(stream(FLIT))`, inside : :py:`Out(stream(FLIT))`
        From the router, to the network interface.
    foreign, late : :py:`Out(1)`
        One cycle, with the last flit of a packet that was dropped: wrong stamp, or right stamp in a
        state that lets nothing in.

    Notes
    -----
    Combinational from ``outside`` to ``inside`` (P13). Keeps P1, P2, P8. Serves requests and
    responses: their stamps are at the same place.
    """

    owner: Signal
    allow: Signal
    outside: stream.Interface
    inside: stream.Interface
    foreign: Signal
    late: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "owner": In(8),
                "allow": In(1),
                "outside": In(stream.Signature(FLIT)),
                "inside": Out(stream.Signature(FLIT)),
                "foreign": Out(1),
                "late": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Decide on the head flit, remember it for the rest of the packet."""
        m = Module()
        flit = self.outside.payload
        head = data.View(REQUEST_HEAD, flit.data)

        body = Signal()
        dropping = Signal()
        was_foreign = Signal()
        foreign = Signal()
        drop = Signal()
        m.d.comb += [
            foreign.eq((head.owner != self.owner) | (self.owner == 0)),
            drop.eq(Mux(body, dropping, foreign | ~self.allow)),
            self.inside.valid.eq(self.outside.valid & ~drop),
            self.inside.payload.eq(Mux(drop, 0, flit)),
            self.outside.ready.eq(drop | self.inside.ready),
        ]
        with m.If(self.outside.valid & drop & flit.last):
            is_foreign = Mux(body, was_foreign, foreign)
            m.d.comb += [self.foreign.eq(is_foreign), self.late.eq(~is_foreign)]
        with m.If(self.outside.valid & self.outside.ready):
            m.d.sync += body.eq(~flit.last)
            with m.If(~body):
                m.d.sync += [dropping.eq(foreign | ~self.allow), was_foreign.eq(foreign)]
        return m
