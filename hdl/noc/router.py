# SPDX-License-Identifier: Apache-2.0
"""Five-port wormhole router of the mesh."""

from functools import reduce
from itertools import combinations
from operator import or_

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.noc.fifo import Fifo
from blindvisor.hdl.noc.packets import FLIT, REQUEST_HEAD

__all__ = ["PORTS", "TURNS", "Router"]

PORTS = ("north", "east", "south", "west", "local")
"""A router's neighbours, and the cluster it belongs to."""

TURNS = {
    "north": ("south", "local"),
    "east": ("north", "south", "local", "west"),
    "south": ("north", "local"),
    "west": ("north", "south", "local", "east"),
    "local": ("north", "south", "west", "east"),
}
"""Outputs that a packet from each input can take. No others have a crossbar input."""


class Router(wiring.Component):
    """Moves packets along X, then along Y, then into its cluster.

    x grows to the east, y to the south. A packet follows its head flit, and no other packet comes
    between its flits. An output serves the input that it has not served for longest.

    Parameters
    ----------
    fifo_depth : :class:`int`
        Flits that each input holds, 2 to 16.

    Members
    -------
    x, y : :py:`In(4)`
        Where in the mesh this router is. Constant.
    clear : :py:`In(1)`
        Forgets which inputs were served last, so that the order that one VM's packets left does not
        time the next one's (P5, P12). Set while the cluster is scrubbed and nothing is under way.
    north_in, east_in, south_in, west_in, local_in : :py:`In(stream.Signature(FLIT))`
        ``ready`` is a register.
    north_out, east_out, south_out, west_out, local_out : :py:`Out(stream.Signature(FLIT))`
        An offer stands, unchanged, until it is accepted.
    dropped : :py:`Out(1)`
        One cycle: a packet (or more, at several inputs) has just been swallowed.

    Raises
    ------
    :exc:`TypeError`
        If the depth is not an integer.
    :exc:`ValueError`
        If the depth is out of range.

    Notes
    -----
    One cycle per hop, one flit per cycle and output. X before Y and no way back makes the mesh free
    of deadlock, and keeps a packet between two clusters of a rectangle inside it (P12).

    A packet that cannot go on legally (from a cluster to itself; back where it came from; along X
    after Y) is swallowed whole (P8). Between the routers of a mesh there is no such packet.

    The RAM of an input keeps old flits, but nothing reads them: only what was written since the
    last time the FIFO was empty can leave it (P5).

    Source: W. J. Dally and C. L. Seitz, "Deadlock-Free Message Routing in Multiprocessor
    Interconnection Networks", IEEE Trans. Computers C-36(5), 1987.
    """

    x: Signal
    y: Signal
    north_in: stream.Interface
    north_out: stream.Interface
    east_in: stream.Interface
    east_out: stream.Interface
    south_in: stream.Interface
    south_out: stream.Interface
    west_in: stream.Interface
    west_out: stream.Interface
    local_in: stream.Interface
    local_out: stream.Interface
    clear: Signal
    dropped: Signal

    def __init__(self, *, fifo_depth: int) -> None:
        if type(fifo_depth) is not int:
            raise TypeError(f"FIFO depth must be an integer, not {fifo_depth!r}")
        if not 2 <= fifo_depth <= 16:
            raise ValueError(f"FIFO depth must be from 2 to 16, not {fifo_depth}")
        self.fifo_depth = fifo_depth
        super().__init__(
            {
                "x": In(4),
                "y": In(4),
                "clear": In(1),
                **{f"{port}_in": In(stream.Signature(FLIT)) for port in PORTS},
                **{f"{port}_out": Out(stream.Signature(FLIT)) for port in PORTS},
                "dropped": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Per input a FIFO that holds each flit with its route, per output an arbiter."""
        m = Module()
        queues = {i: self._queue(m, i) for i in PORTS}
        pairs = [(i, o) for i in PORTS for o in TURNS[i]]
        granted = {(i, o): Signal(name=f"{i}_granted_{o}") for i, o in pairs}
        held = {(i, o): Signal(name=f"{i}_holds_{o}") for i, o in pairs}

        for o in PORTS:
            self._arbitrate(m, o, queues, granted, held)

        ends = []
        for i in PORTS:
            queue = queues[i]
            lost = Signal(name=f"{i}_lost")
            m.d.comb += [
                lost.eq((queue.payload.route == 0) & ~Cat(held[i, o] for o in TURNS[i]).any()),
                queue.ready.eq(
                    lost
                    | Cat(granted[i, o] & getattr(self, f"{o}_out").ready for o in TURNS[i]).any()
                ),
            ]
            ends.append(lost & queue.valid & queue.payload.flit.last)
        m.d.sync += self.dropped.eq(Cat(ends).any())
        return m

    def _queue(self, m: Module, port: str) -> stream.Interface:
        """Place the FIFO of an input; return its reading end.

        ``route`` is found on the way into the FIFO, so that arbitration need not wait for it. In a
        head flit it is 0 (nowhere) or 1 + the output's index in ``TURNS``, in other flits 0.
        """
        shape = data.StructLayout({"flit": FLIT, "route": range(len(TURNS[port]) + 1)})
        queue = Fifo(shape=shape, depth=self.fifo_depth)
        m.submodules[f"{port}_queue"] = queue
        source = getattr(self, f"{port}_in")

        to = data.View(REQUEST_HEAD, source.payload.data).destination
        column = to.x == self.x
        direction = {
            "north": column & _less(to.y, self.y),
            "east": _less(self.x, to.x),
            "south": column & _less(self.y, to.y),
            "west": _less(to.x, self.x),
            "local": column & (to.y == self.y),
        }
        head = Signal(init=1, name=f"{port}_head")
        route = Value.cast(0)
        for number, output in enumerate(TURNS[port], start=1):
            route = route | Mux(head & direction[output], number, 0)
        m.d.comb += [
            queue.writer.valid.eq(source.valid),
            queue.writer.payload.eq(Cat(source.payload, route)),
            source.ready.eq(queue.writer.ready),
        ]
        with m.If(source.valid & source.ready):
            m.d.sync += head.eq(source.payload.last)
        return queue.reader

    def _arbitrate(
        self,
        m: Module,
        output: str,
        queues: dict[str, stream.Interface],
        granted: dict[tuple[str, str], Signal],
        held: dict[tuple[str, str], Signal],
    ) -> None:
        """Give an output to one input until its packet has passed.

        The order of the inputs is kept as one bit per pair. Who is served moves to the end.
        """
        sink = getattr(self, f"{output}_out")
        inputs = [i for i in PORTS if output in TURNS[i]]
        taken = Signal(name=f"{output}_taken")
        wants = {i: Signal(name=f"{i}_wants_{output}") for i in inputs}
        before = {
            (a, b): Signal(name=f"{output}_{a}_before_{b}", init=1)
            for a, b in combinations(inputs, 2)
        }
        stays = []
        for i in inputs:
            queue = queues[i]
            number = TURNS[i].index(output) + 1
            # Numbers 1, 2 and 3 leave the third bit unread: what is here has to fit a LUT4.
            there = queue.payload.route[2] if number == 4 else queue.payload.route[:2] == number
            ahead = [
                wants[other] & (before[other, i] if (other, i) in before else ~before[i, other])
                for other in inputs
                if other != i
            ]
            m.d.comb += [
                wants[i].eq(held[i, output] | (there & queue.valid & ~taken)),
                granted[i, output].eq(wants[i] & ~Cat(ahead).any()),
            ]
            stays.append(granted[i, output] & ~(queue.valid & queue.payload.flit.last & sink.ready))
            m.d.sync += held[i, output].eq(stays[-1])
        m.d.sync += taken.eq(Cat(stays).any())
        with m.If(~taken):
            for (a, b), first in before.items():
                with m.If(granted[a, output]):
                    m.d.sync += first.eq(0)
                with m.Elif(granted[b, output]):
                    m.d.sync += first.eq(1)
        with m.If(self.clear):
            m.d.sync += [first.eq(1) for first in before.values()]

        offers = [Value.cast(queues[i].payload.flit) for i in inputs]
        grants = [granted[i, output] for i in inputs]
        m.d.comb += [
            sink.valid.eq(
                Cat(g & queues[i].valid for i, g in zip(inputs, grants, strict=True)).any()
            ),
            sink.payload.eq(
                reduce(or_, (Mux(g, f, 0) for g, f in zip(grants, offers, strict=True)))
            ),
        ]


def _less(a: Value, b: Value) -> Value:
    # Two bits at a time: one LUT4 each. An adder would be a carry chain, slower at four bits.
    def below(a: Value, b: Value) -> Value:
        return (~a[1] & b[1]) | ((a[1] == b[1]) & ~a[0] & b[0])

    return below(a[2:], b[2:]) | ((a[2:] == b[2:]) & below(a[:2], b[:2]))
