# SPDX-License-Identifier: Apache-2.0
"""Confinement to a rectangle: what each router of a mesh assumes of its links, and hands on."""

from collections.abc import Iterator
from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.noc.packets import COORDINATES, FLIT, REQUEST_HEAD
from blindvisor.hdl.noc.router import PORTS, TURNS, Router
from blindvisor.verification.formal.contract import RECTANGLE, inside, keeps, within
from blindvisor.verification.formal.inner import opened

__all__ = ["ConfinedSpec"]


class ConfinedSpec(wiring.Component):
    """One router, anywhere in the mesh, and a VM's rectangle, anywhere.

    The contract of a link is about the packets that enter a router by it:
    :func:`~blindvisor.verification.formal.contract.keeps`.

    Claims
    ------
    P12-CONTRACT
        If the links into a router keep the contract, those out of it do: in each cycle in which
        they show the head of a packet. So in a mesh, whose links are the outputs of one router and
        the inputs of another, all links keep it as long as clusters do.
    P12-APART
        A router in the rectangle takes nothing from and gives nothing to routers outside.
    LEMMA
        What the induction rests on: where heads are in the queues, and which output has begun a
        packet.

    Assumed: place and rectangle are constant. That clusters keep the contract is egress
    (P1-RECTANGLE) with the VMs' rectangles disjoint (P4).
    """

    place: data.View
    rectangle: data.View
    ready: Signal
    clear: Signal

    def __init__(self, *, fifo_depth: int) -> None:
        self._depth = fifo_depth
        flits = stream.Signature(FLIT)
        super().__init__(
            {
                "place": In(COORDINATES),
                "rectangle": In(RECTANGLE),
                **{f"{port}_in": In(flits) for port in PORTS},
                "ready": In(len(PORTS)),
                "clear": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Place the router, remember where heads are, and look at both ends of each link."""
        m = Module()
        router = Router(fifo_depth=self._depth)
        fragment, registers = opened(router)
        m.submodules.router = fragment
        m.d.comb += [
            router.x.eq(self.place.x),
            router.y.eq(self.place.y),
            router.clear.eq(self.clear),
        ]
        started = Signal()
        now = Cat(self.place.as_value(), self.rectangle.as_value())
        was = Signal.like(now)
        m.d.sync += [started.eq(1), was.eq(now)]
        first, last = self.rectangle.first, self.rectangle.last
        m.d.comb += [
            Assume(~started | (now == was), "constant"),
            Assume((first.x <= last.x) & (first.y <= last.y), "a rectangle"),
        ]

        queues = {port: _Queue(m, fragment, registers, port, self._depth) for port in PORTS}
        begun = {}
        for n, port in enumerate(PORTS):
            source, sink = getattr(self, f"{port}_in"), getattr(router, f"{port}_out")
            entry = getattr(router, f"{port}_in")
            m.d.comb += [
                entry.valid.eq(source.valid),
                entry.payload.eq(source.payload),
                source.ready.eq(entry.ready),
                sink.ready.eq(self.ready[n]),
            ]
            begun[port] = self._sends(m, sink, port)
            self._receives(m, source, registers[f"{port}_head"], queues[port], port)
        for port in PORTS:
            for lemma in self._rows(queues[port], port):
                m.d.comb += Assert(lemma, "LEMMA")
            m.d.comb += Assert(begun[port] == _underway(port, registers, queues), "LEMMA")
            for lemma in self._holds(port, registers, queues[port]):
                m.d.comb += Assert(lemma, "LEMMA")
        self._covers(m, router)
        return m

    def _receives(
        self, m: Module, source: stream.Interface, head: Signal, queue: "_Queue", port: str
    ) -> None:
        kept = self._keeps(port, source.payload.data, out=False)
        m.d.comb += Assume(~source.valid | ~head | kept, f"{port} keeps the contract")
        apart = self._inside() & ~self._within(port)
        m.d.comb += Assert(~apart | (queue.empty & head), "P12-APART")
        with m.If(source.valid & source.ready):
            m.d.sync += queue.heads.bit_select(queue.newest, 1).eq(head)

    def _sends(self, m: Module, sink: stream.Interface, port: str) -> Signal:
        """Claim the contract of an output; return whether its next flit is not a head."""
        begun = Signal(name=f"{port}_begun")
        with m.If(sink.valid & sink.ready):
            m.d.sync += begun.eq(~sink.payload.last)
        kept = self._keeps(port, sink.payload.data, out=True)
        apart = self._inside() & ~self._within(port)
        m.d.comb += [
            Assert(~sink.valid | begun | kept, "P12-CONTRACT"),
            Assert(~((sink.valid | begun) & apart), "P12-APART"),
        ]
        return begun

    def _rows(self, queue: "_Queue", port: str) -> Iterator[Value]:
        """Yield what is known of the flits in a queue."""
        routes = {name: n for n, name in enumerate(TURNS[port], start=1)}
        for n, row in enumerate(queue.rows):
            word, last, route = row[:32], row[32], row[33:]
            to = data.View(REQUEST_HEAD, word).destination
            x, y = self.place.x, self.place.y
            ways = {
                "east": to.x > x,
                "west": to.x < x,
                "north": (to.x == x) & (to.y < y),
                "south": (to.x == x) & (to.y > y),
                "local": (to.x == x) & (to.y == y),
            }
            wanted = Value.cast(0)
            for name, number in routes.items():
                wanted = Mux(ways[name], number, wanted)
            there, head = queue.filled(n), queue.heads[n]
            yield ~there | (route == Mux(head, wanted, 0))
            yield ~(there & head) | self._keeps(port, word, out=False)
            following = (n + 1) % len(queue.rows)
            newest = queue.newest == following
            begins = Mux(newest, queue.head, queue.heads[following])
            yield ~there | (begins == last)
        yield (queue.newest == queue.oldest) == (queue.empty | queue.full)
        yield ~(queue.empty & queue.full)

    def _holds(self, port: str, registers: dict[str, Signal], queue: "_Queue") -> Iterator[Value]:
        """Yield what is known of the outputs that an input holds, and of who holds an output."""
        holds = [registers[f"{port}_holds_{output}"] for output in TURNS[port]]
        for number, (output, held) in enumerate(zip(TURNS[port], holds, strict=True), start=1):
            apart = self._inside() & ~self._within(output)
            yield ~(held & queue.begins) | (~queue.empty & (queue.route == number))
            yield ~(held & apart)
        yield _at_most_one(holds)
        holders = [registers[f"{i}_holds_{port}"] for i in PORTS if port in TURNS[i]]
        yield _at_most_one(holders)
        yield registers[f"{port}_taken"] == Cat(holders).any()

    def _inside(self) -> Value:
        return inside(self.rectangle, self.place.x, self.place.y)

    def _within(self, port: str) -> Value:
        return within(self.rectangle, self.place.x, self.place.y, port)

    def _keeps(self, port: str, word: Value, *, out: bool) -> Value:
        return keeps(self.rectangle, self.place.x, self.place.y, port, word, out=out)

    def _covers(self, m: Module, router: Router) -> None:
        """Cover packets of the VM and of others, on both kinds of way."""
        east, south = router.east_out, router.south_out
        m.d.comb += [
            Cover(east.valid & east.payload.last & self._within("east"), "the VM goes east"),
            Cover(south.valid & ~south.payload.last & self._within("south"), "the VM goes south"),
            Cover(east.valid & ~self._within("east"), "another goes east"),
            Cover(router.local_out.valid & self._within("local"), "the VM arrives"),
        ]


class _Queue:
    """A queue's registers and rows, and where heads are in it."""

    def __init__(
        self, m: Module, fragment: Any, registers: dict[str, Signal], port: str, depth: int
    ) -> None:
        self.newest, self.oldest, self.empty, self.full = (
            registers[f"{port}_queue.{name}"] for name in ("newest", "oldest", "empty", "full")
        )
        self.head = registers[f"{port}_head"]
        queue = next(part for part, name, _ in fragment.subfragments if name == f"{port}_queue")
        memory = next(part for part, name, _ in queue.subfragments if name == "memory")
        self.rows: list[Signal] = []
        for row in range(depth):
            address = Signal(range(depth), init=row, name=f"{port}_address_{row}")
            shown = Signal(33 + len(TURNS[port]).bit_length(), name=f"{port}_row_{row}")
            memory.read_port(
                domain="comb", addr=address, data=shown, en=Value.cast(1), transparent_for=()
            )
            self.rows.append(shown)
        self.heads = Signal(depth, name=f"{port}_heads")
        front = Array(self.rows)[self.oldest]
        self.route = Value.cast(front)[33:]
        self.begins = Mux(self.empty, self.head, Array(self.heads)[self.oldest])
        """What leaves next is a head."""

    def filled(self, row: int) -> Value:
        straight = (self.oldest <= row) & (row < self.newest)
        wrapped = (row >= self.oldest) | (row < self.newest)
        return self.full | (~self.empty & Mux(self.oldest < self.newest, straight, wrapped))


def _underway(port: str, registers: dict[str, Signal], queues: dict[str, _Queue]) -> Value:
    """Whether an output is held by an input whose head has gone."""
    inputs = [i for i in PORTS if port in TURNS[i]]
    return Cat(registers[f"{i}_holds_{port}"] & ~queues[i].begins for i in inputs).any()


def _at_most_one(signals: list[Signal]) -> Value:
    return sum(signals[1:], start=signals[0] + 0) <= 1
