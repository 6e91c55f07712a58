# SPDX-License-Identifier: Apache-2.0
"""Properties of the router, for every place in the mesh and every traffic."""

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, connect, flipped

from blindvisor.hdl.noc.packets import FLIT, REQUEST_HEAD
from blindvisor.hdl.noc.router import PORTS, Router

__all__ = ["RouterSpec"]


class RouterSpec(wiring.Component):
    """Follows one flit, any one, of one input, any one.

    The solver chooses the input (``watched``) and the flit (``mark``). Flits of the watched input
    have bit 31 of their data set and no others have, so that they are known where they come out;
    the router does not look at that bit.

    Claims
    ------
    P2-FLIT
        A flit leaves once, unchanged, after those that came before it at its input, and by the port
        that X-first routing says. Nothing leaves that did not come.
    P2-WORMHOLE
        From a head flit to the last one, an output carries flits of one input.
    P2-STREAM
        An offer stands, unchanged, until it is accepted.
    P12-XFIRST
        No packet goes back where it came from, and none that moves along Y leaves along X.
    P8-SWALLOW
        What has no legal way is swallowed at one flit per cycle and reported; nothing else is.
    P8-PROGRESS
        While a flit waits at the front of its input, its output offers something, or is kept by a
        packet of another input that has not fully arrived.
    P8-FAIR
        While a head flit waits at the front of its input, each rival is served at most once.

    Assumed: coordinates are constant. Not covered: data independence from bit 31, which is a matter
    of structure; other FIFO depths than the given one.
    """

    x: Signal
    y: Signal
    watched: Signal
    mark: Signal
    ready: Signal

    def __init__(self, dut: Router) -> None:
        self.dut = dut
        super().__init__(
            {
                "x": In(4),
                "y": In(4),
                "watched": In(range(len(PORTS))),
                "mark": In(1),
                **{f"{port}_in": In(stream.Signature(FLIT)) for port in PORTS},
                "ready": In(len(PORTS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Restate the rules in the words of the claims, not in those of the gateware."""
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += [dut.x.eq(self.x), dut.y.eq(self.y)]
        sources = [getattr(self, f"{port}_in") for port in PORTS]
        sinks = [getattr(dut, f"{port}_out") for port in PORTS]
        for port, source in zip(PORTS, sources, strict=True):
            connect(m, flipped(source), getattr(dut, f"{port}_in"))
        for n, sink in enumerate(sinks):
            m.d.comb += sink.ready.eq(self.ready[n])

        started = Signal()
        fixed = Cat(self.x, self.y, self.watched)
        was_fixed = Signal.like(fixed)
        m.d.sync += [started.eq(1), was_fixed.eq(fixed)]
        m.d.comb += Assume(self.watched < len(PORTS), "an input is watched")
        m.d.comb += Assume(~started | (fixed == was_fixed), "place and input are constant")
        for n, source in enumerate(sources):
            m.d.comb += Assume(source.payload.data[31] == (self.watched == n), "marking")

        accepted, lost, output = self._arrivals(m, sources)
        left, leaves = self._departures(m, sinks)
        self._follow(m, accepted, lost, output, sinks, left, leaves)
        return m

    def _way_out(self, m: Module, source: stream.Interface, entry: int) -> tuple[Signal, Signal]:
        """Return number of the port that a head flit leaves by, and whether it has no way."""
        to = data.View(REQUEST_HEAD, source.payload.data).destination
        output = Signal(range(len(PORTS)), name=f"way_from_{PORTS[entry]}")
        lost = Signal(name=f"no_way_from_{PORTS[entry]}")
        with m.If(to.x > self.x):
            m.d.comb += output.eq(PORTS.index("east"))
        with m.Elif(to.x < self.x):
            m.d.comb += output.eq(PORTS.index("west"))
        with m.Elif(to.y > self.y):
            m.d.comb += output.eq(PORTS.index("south"))
        with m.Elif(to.y < self.y):
            m.d.comb += output.eq(PORTS.index("north"))
        with m.Else():
            m.d.comb += output.eq(PORTS.index("local"))
        turns_into_row = (to.x != self.x) if PORTS[entry] in ("north", "south") else Value.cast(0)
        m.d.comb += lost.eq((output == entry) | turns_into_row)
        return output, lost

    def _arrivals(
        self, m: Module, sources: list[stream.Interface]
    ) -> tuple[Signal, Signal, Signal]:
        """Return, for the watched input: a flit is accepted, it has no way, its output."""
        accepted = Signal(len(sources))
        bad = Signal(len(sources))
        ways = []
        for n, source in enumerate(sources):
            way, no_way = self._way_out(m, source, n)
            inside = Signal(name=f"inside_packet_{PORTS[n]}")
            kept_way = Signal.like(way, name=f"kept_way_{PORTS[n]}")
            kept_bad = Signal(name=f"kept_no_way_{PORTS[n]}")
            m.d.comb += [
                accepted[n].eq(source.valid & source.ready),
                bad[n].eq(Mux(inside, kept_bad, no_way)),
            ]
            ways.append(Mux(inside, kept_way, way))
            with m.If(accepted[n]):
                m.d.sync += inside.eq(~source.payload.last)
                with m.If(~inside):
                    m.d.sync += [kept_way.eq(way), kept_bad.eq(no_way)]

        ever_bad = Signal()
        with m.If((accepted & bad).any()):
            m.d.sync += ever_bad.eq(1)
        m.d.comb += Assert(ever_bad | ~self.dut.dropped, "P8-SWALLOW")

        mine = [Signal(name="arrives"), Signal(name="arrives_lost"), Signal(3, name="arrives_for")]
        m.d.comb += [
            mine[0].eq(accepted.bit_select(self.watched, 1)),
            mine[1].eq(bad.bit_select(self.watched, 1)),
            mine[2].eq(Array(ways)[self.watched]),
        ]
        return mine[0], mine[1], mine[2]

    def _departures(
        self, m: Module, sinks: list[stream.Interface]
    ) -> tuple[Signal, list[tuple[Signal, Signal]]]:
        """Return outputs that flits of the watched input leave by, and (inside, mine) of each."""
        left = Signal(len(sinks))
        keepers = []
        for n, sink in enumerate(sinks):
            mine = sink.payload.data[31]
            inside = Signal(name=f"{PORTS[n]}_inside_packet")
            kept_mine = Signal(name=f"{PORTS[n]}_packet_is_mine")
            passes = sink.valid & sink.ready
            m.d.comb += left[n].eq(passes & mine)
            with m.If(passes):
                m.d.sync += [inside.eq(~sink.payload.last), kept_mine.eq(mine)]
            with m.If(sink.valid & inside):
                m.d.comb += Assert(mine == kept_mine, "P2-WORMHOLE")
            keepers.append((inside, kept_mine))

            offered = Signal(name=f"{PORTS[n]}_offered")
            offer = Signal(FLIT, name=f"{PORTS[n]}_offer")
            m.d.sync += [offered.eq(sink.valid & ~sink.ready), offer.eq(sink.payload)]
            with m.If(offered):
                m.d.comb += Assert(sink.valid & (sink.payload == offer), "P2-STREAM")

            with m.If(sink.valid & mine):
                m.d.comb += Assert(self.watched != n, "P12-XFIRST")
                if PORTS[n] in ("east", "west"):
                    came_along_y = (self.watched == PORTS.index("north")) | (
                        self.watched == PORTS.index("south")
                    )
                    m.d.comb += Assert(~came_along_y, "P12-XFIRST")
        return left, keepers

    def _follow(
        self,
        m: Module,
        accepted: Signal,
        lost: Signal,
        output: Signal,
        sinks: list[stream.Interface],
        left: Signal,
        keepers: list[tuple[Signal, Signal]],
    ) -> None:
        """Keep count of what is inside, and the marked flit's place in the queue."""
        depth = self.dut.fifo_depth
        level = Signal(range(depth + 1))
        waiting_lost = Signal(depth)  # by place in the queue, 0 the front
        waiting_last = Signal(depth)
        arriving = Array(source.payload for source in self._sources())[self.watched]
        arriving = Value.cast(arriving)

        swallowed = (level != 0) & waiting_lost[0]
        pops = Signal()
        m.d.comb += pops.eq(left.any() | swallowed)
        with m.If(left.any()):
            m.d.comb += Assert((level != 0) & ~waiting_lost[0], "P2-FLIT")
            m.d.comb += Assert((left & (left - 1)[: len(left)]) == 0, "P2-FLIT")
        place = Signal.like(level)
        m.d.comb += place.eq(level - pops)
        m.d.sync += level.eq(place + accepted)
        for bits, bit in ((waiting_lost, lost), (waiting_last, arriving[32])):
            m.d.sync += bits.eq(bits >> pops)
            with m.If(accepted):
                m.d.sync += bits.bit_select(place, 1).eq(bit)
        m.d.comb += Assert(level <= depth, "P2-FLIT")

        reported = Signal()
        m.d.sync += reported.eq(swallowed & waiting_last[0])
        with m.If(reported):
            m.d.comb += Assert(self.dut.dropped, "P8-SWALLOW")

        followed = Signal()  # from the cycle after the marked flit came, until it has left
        ahead = Signal.like(level)
        flit = Signal(33)
        way = Signal.like(output)
        head = Signal()
        was_last = Signal(init=1)
        spent = Signal()
        with m.If(accepted):
            m.d.sync += was_last.eq(arriving[32])
        with m.If(accepted & self.mark & ~spent & ~lost):
            m.d.sync += [
                *(followed.eq(1), spent.eq(1), ahead.eq(place), head.eq(was_last)),
                *(flit.eq(arriving), way.eq(output)),
            ]
        with m.If(followed & pops):
            m.d.sync += ahead.eq(ahead - 1)
        front = followed & (ahead == 0)
        with m.If(front):
            with m.If(pops):
                m.d.sync += followed.eq(0)
                m.d.comb += Assert(left == (1 << way)[: len(left)], "P2-FLIT")
                for n, sink in enumerate(sinks):
                    with m.If(left[n]):
                        m.d.comb += Assert(Value.cast(sink.payload) == flit, "P2-FLIT")
            for n, (sink, (inside, mine)) in enumerate(zip(sinks, keepers, strict=True)):
                with m.If(way == n):
                    m.d.comb += Assert(sink.valid | (inside & ~mine), "P8-PROGRESS")

        overtaken = Signal(range(8))
        ends = Cat(sink.valid & sink.ready & sink.payload.last for sink in sinks)
        with m.If(front & head & ends.bit_select(way, 1) & ~pops):
            m.d.sync += overtaken.eq(overtaken + 1)
        along_x = (way == PORTS.index("east")) | (way == PORTS.index("west"))
        m.d.comb += Assert(overtaken <= Mux(along_x, 1, 3), "P8-FAIR")

        m.d.comb += [
            Cover(front & pops & ~head & (level == depth), "a body flit leaves a full input"),
            Cover((overtaken == 3) & front & pops, "a head flit leaves after three rivals"),
            Cover(self.dut.dropped, "a packet has been swallowed"),
        ]
        for n, port in enumerate(PORTS):
            m.d.comb += Cover(left[n] & front, f"the marked flit leaves by {port}")

    def _sources(self) -> list[stream.Interface]:
        return [getattr(self, f"{port}_in") for port in PORTS]
