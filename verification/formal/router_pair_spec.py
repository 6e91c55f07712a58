# SPDX-License-Identifier: Apache-2.0
"""Non-interference in a router: two copies whose ports are shared by two domains."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.noc.packets import FLIT, REQUEST_HEAD
from blindvisor.hdl.noc.router import PORTS, TURNS, Router
from blindvisor.verification.formal.inner import opened

__all__ = ["RouterPairSpec"]


class RouterPairSpec(wiring.Component):
    """Two routers at one place. Domain A does the same to both, domain B what it likes to each.

    The solver chooses which ports belong to A (``ours``), and everything that comes in.

    Claims
    ------
    P12-BLIND
        At every port of A, what the router does is the same in both copies, cycle by cycle: offers,
        the flits offered, and whether it takes one.
    P5-FORGETS
        After ``clear`` a router chooses as at power-on.
    INVARIANT
        What the induction rests on: at the ports of A the registers are the same in both copies;
        no port holds, and no queue holds a flit for, an output of the other domain; what is said of
        a queue's fill in three ways agrees.

    With ``secret_data``, flits of A differ too, in the bits that routing has no use for (8 to 31 of
    the data): claimed is then the same but for these bits, and all ports may be A's. So nothing
    that a router does depends on them.

    Assumed: ``ours`` is constant; packets go from ports of one domain to ports of the same (or
    nowhere); ``clear``, which comes from the router's own cluster, is the same in both copies if
    any port is A's. In the mesh this follows from egress (P1-RECTANGLE), from rectangles being
    disjoint (P4) and from what routers hand on (P12-CONTRACT, P12-APART). Not covered: ``dropped``,
    which tells the monitor of both domains.
    """

    x: Signal
    y: Signal
    ours: Signal
    clear_a: Signal
    clear_b: Signal

    def __init__(self, *, fifo_depth: int, secret_data: bool = False) -> None:
        self._depth = fifo_depth
        self._secret_data = secret_data
        flits = stream.Signature(FLIT)
        super().__init__(
            {
                "x": In(4),
                "y": In(4),
                "ours": In(len(PORTS)),
                **{f"{port}_{copy}": In(flits) for port in PORTS for copy in "ab"},
                "ready_a": In(len(PORTS)),
                "ready_b": In(len(PORTS)),
                "clear_a": In(1),
                "clear_b": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Place both copies, then compare them."""
        m = Module()
        started = Signal()
        was_ours = Signal.like(self.ours)
        m.d.sync += [started.eq(1), was_ours.eq(self.ours)]
        m.d.comb += Assume(~started | (self.ours == was_ours), "the partition is constant")
        cleared_alike = self.clear_a == self.clear_b
        m.d.comb += Assume(~self.ours.any() | cleared_alike, "A's cluster clears in both")
        copies = [self._copy(m, name) for name in "ab"]

        (router_a, registers_a, rows_a), (router_b, registers_b, rows_b) = copies
        for n, port in enumerate(PORTS):
            ours = self.ours[n]
            in_a, in_b = (getattr(self, f"{port}_{name}") for name in "ab")
            to_a, to_b = (getattr(router, f"{port}_in") for router in (router_a, router_b))
            out_a, out_b = (getattr(router, f"{port}_out") for router in (router_a, router_b))
            same = (in_a.valid == in_b.valid) & (
                ~in_a.valid | (self._seen(in_a.payload) == self._seen(in_b.payload))
            )
            same_flit = self._seen(out_a.payload) == self._seen(out_b.payload)
            m.d.comb += [
                Assume(~ours | same, f"A enters by {port} in both"),
                Assume(~ours | (out_a.ready == out_b.ready), f"A waits for {port} in both"),
                Assert(~ours | (to_a.ready == to_b.ready), "P12-BLIND"),
                Assert(~ours | (out_a.valid == out_b.valid), "P12-BLIND"),
                Assert(~ours | ~out_a.valid | same_flit, "P12-BLIND"),
            ]
            # Invariant, of the two copies.
            for row, (entry_a, entry_b) in enumerate(zip(rows_a[port], rows_b[port], strict=True)):
                filled = self._filled(registers_a, port, row)
                same = self._seen(entry_a) == self._seen(entry_b)
                m.d.comb += Assert(~ours | ~filled | same, "INVARIANT")
            for register in ("newest", "oldest", "empty", "full"):
                name = f"{port}_queue.{register}"
                same = registers_a[name] == registers_b[name]
                m.d.comb += Assert(~ours | same, "INVARIANT")
            for name in (f"{port}_head", f"{port}_taken"):
                m.d.comb += Assert(~ours | (registers_a[name] == registers_b[name]), "INVARIANT")
            for output in TURNS[port]:
                name = f"{port}_holds_{output}"
                both = ours & self.ours[PORTS.index(output)]
                same = registers_a[name] == registers_b[name]
                m.d.comb += Assert(~both | same, "INVARIANT")
        for name, register in registers_a.items():
            if "_before_" in name:
                output, first, _, second = name.split("_")
                all_ours = Cat(self.ours[PORTS.index(p)] for p in (output, first, second)).all()
                same = register == registers_b[name]
                m.d.comb += Assert(~all_ours | same, "INVARIANT")

        self._covers(m, router_a, router_b)
        return m

    def _seen(self, flit: data.View | Value) -> Value:
        """Return the bits of a flit, or of a queue's entry, that must be the same in both."""
        bits = Value.cast(flit)
        return Cat(bits[:8], bits[32:]) if self._secret_data else bits

    def _copy(
        self, m: Module, name: str
    ) -> tuple[Router, dict[str, Signal], dict[str, list[Value]]]:
        """Place a router; assume and claim what concerns it alone."""
        router = Router(fifo_depth=self._depth)
        fragment, registers = opened(router)
        rows = {port: self._rows(fragment, port, name) for port in PORTS}
        m.submodules[f"router_{name}"] = fragment
        clear, cleared = getattr(self, f"clear_{name}"), Signal(name=f"cleared_{name}")
        order = Cat(register for key, register in registers.items() if "_before_" in key)
        m.d.sync += cleared.eq(clear)
        m.d.comb += [
            router.x.eq(self.x),
            router.y.eq(self.y),
            router.clear.eq(clear),
            Assert(~cleared | order.all(), "P5-FORGETS"),
        ]
        ready = getattr(self, f"ready_{name}")
        for n, port in enumerate(PORTS):
            source = getattr(self, f"{port}_{name}")
            entry = getattr(router, f"{port}_in")
            m.d.comb += [
                entry.valid.eq(source.valid),
                entry.payload.eq(source.payload),
                source.ready.eq(entry.ready),
                getattr(router, f"{port}_out").ready.eq(ready[n]),
            ]
            head = Signal(init=1, name=f"{port}_begins_{name}")
            with m.If(source.valid & source.ready):
                m.d.sync += head.eq(source.payload.last)
            domain = self.ours[n]
            stays = self._way_domain(m, source, port, name) == domain
            m.d.comb += [
                Assume(~source.valid | ~head | stays, f"{port} {name} stays in its domain"),
                Assert(registers[f"{port}_head"] == head, "INVARIANT"),
            ]
            for row, entry in enumerate(rows[port]):
                route = Value.cast(entry)[33:]
                leads = Array([domain, *(self.ours[PORTS.index(o)] for o in TURNS[port])])[route]
                filled = self._filled(registers, port, row)
                legal = (leads == domain) & (route <= len(TURNS[port]))
                m.d.comb += Assert(~filled | legal, "INVARIANT")
            newest, oldest, empty, full = (
                registers[f"{port}_queue.{r}"] for r in ("newest", "oldest", "empty", "full")
            )
            m.d.comb += [
                Assert((newest == oldest) == (empty | full), "INVARIANT"),
                Assert(~(empty & full), "INVARIANT"),
            ]
            for output in TURNS[port]:
                crossing = domain ^ self.ours[PORTS.index(output)]
                m.d.comb += Assert(~(registers[f"{port}_holds_{output}"] & crossing), "INVARIANT")
            holds = Cat(registers[f"{i}_holds_{port}"] for i in PORTS if port in TURNS[i])
            m.d.comb += Assert(registers[f"{port}_taken"] == holds.any(), "INVARIANT")
        return router, registers, rows

    def _way_domain(self, m: Module, source: stream.Interface, port: str, name: str) -> Signal:
        """Return whether the output that a head flit leaves by is ours; its own if it has none."""
        to = data.View(REQUEST_HEAD, source.payload.data).destination
        domain = Signal(name=f"{port}_to_ours_{name}")
        ours = dict(zip(PORTS, self.ours, strict=True))
        m.d.comb += domain.eq(
            Mux(
                to.x > self.x,
                ours["east"],
                Mux(
                    to.x < self.x,
                    ours["west"],
                    Mux(
                        to.y > self.y,
                        ours["south"],
                        Mux(to.y < self.y, ours["north"], ours["local"]),
                    ),
                ),
            )
        )
        return domain

    def _rows(self, fragment: Any, port: str, name: str) -> list[Value]:
        """Give the queue's memory one more read port per row, for us."""
        queue = next(f for f, n, _ in fragment.subfragments if n == f"{port}_queue")
        memory = next(f for f, n, _ in queue.subfragments if n == "memory")
        rows = []
        for row in range(self._depth):
            address = Signal(range(self._depth), init=row, name=f"{port}_address_{row}_{name}")
            shown = Signal(33 + len(TURNS[port]).bit_length(), name=f"{port}_row_{row}_{name}")
            memory.read_port(
                domain="comb", addr=address, data=shown, en=Value.cast(1), transparent_for=()
            )
            rows.append(shown)
        return rows

    def _filled(self, registers: dict[str, Signal], port: str, row: int) -> Value:
        newest, oldest, empty, full = (
            registers[f"{port}_queue.{r}"] for r in ("newest", "oldest", "empty", "full")
        )
        straight = (oldest <= row) & (row < newest)
        wrapped = (row >= oldest) | (row < newest)
        return full | (~empty & Mux(oldest < newest, straight, wrapped))

    def _covers(self, m: Module, router_a: Router, router_b: Router) -> None:
        """A and B both move, and B moves differently."""
        moves = Signal()
        differs = Signal()
        ours = self.ours[PORTS.index("east")] & ~self.ours[PORTS.index("south")]
        m.d.comb += [
            moves.eq(router_a.east_out.valid & router_a.east_out.ready & ours),
            differs.eq((router_a.south_out.valid != router_b.south_out.valid) & ours),
            Cover(moves & differs, "A moves while B differs"),
            Cover(
                moves & (router_a.east_out.payload != router_b.east_out.payload)
                if self._secret_data
                else moves & router_a.east_out.payload.last & differs,
                "A moves what is secret" if self._secret_data else "A's packet ends",
            ),
            Cover(moves & ~router_a.north_in.ready & router_b.north_in.ready, "B blocks in one"),
        ]
