# SPDX-License-Identifier: Apache-2.0
"""The check and the translation of packets that leave a cluster."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.noc.packets import COORDINATES, FLIT, REQUEST_HEAD
from blindvisor.hdl.smmu.lifecycle import OWNERSHIP

__all__ = ["Egress"]


class Egress(wiring.Component):
    """Lets a packet out only towards its VM's own rectangle, translated and stamped.

    A head flit's destination comes in as guest coordinates. Inside the rectangle, and not this very
    cluster, it leaves in the same cycle with the origin added and the owner as its stamp; all
    else in the packet is unchanged. Any other packet is swallowed whole.

    One component serves requests and responses: their head flits have destination, source, owner
    and core at the same places.

    Members
    -------
    ownership : :py:`In(OWNERSHIP)`
    allow : :py:`In(1)`
        The cluster's state lets packets leave. Matters in the cycle of a head flit alone, so that a
        packet is never cut.
    own : :py:`In(COORDINATES)`
        This cluster's guest coordinates.
    inside : :py:`In(stream(FLIT))`, outside : :py:`Out(stream(FLIT))`
        From the network interface, to the router.
    denied : :py:`Out(1)`, denied_core : :py:`Out(2)`, denied_state : :py:`Out(1)`
        One cycle, with the last flit of a packet that was swallowed; ``denied_state`` if the state
        was the reason.

    Notes
    -----
    Combinational from ``inside`` to ``outside``: no added cycle (P13). Keeps P1, P2 and, since a
    rectangle is closed under X-first routing, P12.
    """

    ownership: data.View
    allow: Signal
    own: data.View
    inside: stream.Interface
    outside: stream.Interface
    denied: Signal
    denied_core: Signal
    denied_state: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "ownership": In(OWNERSHIP),
                "allow": In(1),
                "own": In(COORDINATES),
                "inside": In(stream.Signature(FLIT)),
                "outside": Out(stream.Signature(FLIT)),
                "denied": Out(1),
                "denied_core": Out(2),
                "denied_state": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Decide on the head flit, remember it for the rest of the packet."""
        m = Module()
        flit = self.inside.payload
        head = data.View(REQUEST_HEAD, flit.data)
        ownership = self.ownership

        # What the head flit decided holds for the rest of its packet.
        body = Signal()
        swallowing = Signal()
        core = Signal(2)
        by_state = Signal()

        within = Signal()
        pass_head = Signal()
        m.d.comb += [
            within.eq(
                (head.destination.x <= ownership.last.x)
                & (head.destination.y <= ownership.last.y)
                & (head.destination != self.own)
            ),
            pass_head.eq(within & self.allow & (ownership.owner != 0)),
        ]

        translated = Signal(32)
        start = REQUEST_HEAD["core"].offset
        m.d.comb += translated.eq(
            Cat(
                (head.destination.x + ownership.origin.x)[:4],
                (head.destination.y + ownership.origin.y)[:4],
                head.source,
                ownership.owner,
                flit.data[start:],
            )
        )
        swallow = Signal()
        m.d.comb += [
            swallow.eq(Mux(body, swallowing, ~pass_head)),
            self.outside.valid.eq(self.inside.valid & ~swallow),
            # Zero while nothing leaves, so that the wires tell nothing of a swallowed packet.
            self.outside.payload.eq(
                Mux(swallow, 0, Cat(Mux(body, flit.data, translated), flit.last))
            ),
            self.inside.ready.eq(swallow | self.outside.ready),
            self.denied.eq(self.inside.valid & swallow & flit.last),
            self.denied_core.eq(Mux(body, core, head.core)),
            self.denied_state.eq(Mux(body, by_state, within)),
        ]
        with m.If(self.inside.valid & self.inside.ready):
            m.d.sync += body.eq(~flit.last)
            with m.If(~body):
                m.d.sync += [
                    swallowing.eq(~pass_head),
                    core.eq(head.core),
                    by_state.eq(within),
                ]
        return m
