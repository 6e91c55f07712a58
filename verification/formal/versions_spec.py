# SPDX-License-Identifier: Apache-2.0
"""The search of the store: it finds the identity's row, and writes no other."""

from typing import Any

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.store import STORE_ROW
from blindvisor.hdl.loader.versions import Versions
from blindvisor.hdl.loader.versions import _Phase as Phase  # pyright: ignore[reportPrivateUsage]
from blindvisor.verification.formal.inner import opened

__all__ = ["VersionsSpec"]


class VersionsSpec(wiring.Component):
    """A store with any rows, of which one at most has the identity that is looked for.

    Claims
    ------
    P6-FOUND
        What is found when a search is done is the identity's row, wherever it is; none is found
        only if there is none. The store is full only if it has no free row either.
    P6-PLACE
        A row is written over the identity's, or over the first free one if it has none, with the
        versions that were committed.
    P6-STAYS
        A request stands, unchanged, until the store takes it, whether a search is stopped or not.
    P6-SHOWS
        The store is told no more than it needs: a read says its row's number alone, and without a
        request all is 0.

    Assumed, of the loader: one search, then commits if it was done and the store is not full; the
    identity stays (``loader``). Of the store: it answers what it was asked, and nothing else; its
    rows stay. Written rows are not followed.
    """

    identity: Signal
    find: Signal
    commit: Signal
    stop: Signal
    ready: Signal
    answers: Signal
    rows: list[Any]
    next_version: Signal
    next_generation: Signal

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        super().__init__(
            {
                "identity": In(128),
                "find": In(1),
                "commit": In(1),
                "stop": In(1),
                "ready": In(1),
                "answers": In(1),
                "rows": In(STORE_ROW).array(config.store_rows),
                "next_version": In(32),
                "next_generation": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Answer requests out of the rows."""
        m = Module()
        dut = Versions(self._config)
        m.submodules.dut, registers = opened(dut)
        request, payload = dut.store.request, dut.store.request.payload
        rows = [data.View(STORE_ROW, Value.cast(row)) for row in self.rows]
        asked, begun, done = Signal(), Signal(), Signal()
        started, was = Signal(), Signal.like(Cat(self.identity, *self.rows))
        kept = Signal(64)
        with m.If(request.valid & request.ready):
            m.d.sync += asked.eq(1)
        with m.Elif(self.answers):
            m.d.sync += asked.eq(0)
        with m.If(dut.find):
            m.d.sync += begun.eq(1)
        with m.If(dut.done):
            m.d.sync += done.eq(1)
        with m.If(self.commit):
            m.d.sync += kept.eq(Cat(self.next_version, self.next_generation))
        asked_for = Signal.like(payload.index)
        with m.If(request.valid):
            m.d.sync += asked_for.eq(payload.index)
        m.d.sync += [started.eq(1), was.eq(Cat(self.identity, *self.rows))]
        m.d.comb += [
            dut.identity.eq(self.identity),
            dut.find.eq(self.find),
            dut.commit.eq(self.commit),
            dut.stop.eq(self.stop),
            dut.next_version.eq(self.next_version),
            dut.next_generation.eq(self.next_generation),
            request.ready.eq(self.ready),
            dut.store.response.eq(Cat(self.answers, Array(self.rows)[asked_for])),
        ]
        ours = Cat(row.valid & (row.identity == self.identity) for row in rows)
        free = Cat(~row.valid for row in rows)
        m.d.comb += [
            Assume(~started | (was == Cat(self.identity, *self.rows)), "rows and identity stay"),
            Assume((ours & (ours - 1))[: len(ours)] == 0, "one row has the identity"),
            Assume(~self.answers | asked, "the store answers"),
            Assume(~self.find | (dut.idle & ~begun), "one search"),
            Assume(~self.commit | (dut.idle & (done | dut.done) & ~dut.full), "then commits"),
        ]
        there, place = ours.any(), Mux(ours.any(), _first(ours), _first(free))
        row = data.View(STORE_ROW, Array(self.rows)[place])
        over = done | dut.done
        said = Cat(payload.write, payload.index, payload.row.version, payload.row.generation)
        waiting, was_said = Signal(), Signal.like(said)
        m.d.sync += [waiting.eq(request.valid & ~request.ready), was_said.eq(said)]
        new = Cat(payload.row.version, payload.row.generation)
        writes, reads = request.valid & payload.write, request.valid & ~payload.write
        m.d.comb += [
            Assert(~over | (dut.found == there), "P6-FOUND"),
            Assert(~(over & dut.found) | (dut.version == row.version), "P6-FOUND"),
            Assert(~(over & dut.found) | (dut.generation == row.generation), "P6-FOUND"),
            Assert(~over | dut.found | (Cat(dut.version, dut.generation) == 0), "P6-FOUND"),
            Assert(~over | (dut.full == ~(there | free.any())), "P6-FOUND"),
            Assert(~writes | (payload.index == place), "P6-PLACE"),
            Assert(~writes | (payload.row.identity == self.identity), "P6-PLACE"),
            Assert(~writes | (payload.row.valid & (new == kept)), "P6-PLACE"),
            Assert(~waiting | (request.valid & (said == was_said)), "P6-STAYS"),
            Assert(~reads | (Value.cast(payload.row) == 0), "P6-SHOWS"),
            Assert(request.valid | (Value.cast(payload) == 0), "P6-SHOWS"),
            Cover(dut.done & dut.found & ours[-1], "the last row"),
            Cover(reads & (payload.index != 0) & self.identity.all(), "a read that shows no name"),
            Cover(~request.valid & over & self.identity.all() & kept.all(), "nothing is shown"),
            Cover(writes & ~there & (place == 1), "the second row is free"),
            Cover(dut.done & dut.full, "the store is full"),
        ]
        for lemma in self._lemmas(registers, ours, free, place, over, begun):
            m.d.comb += Assert(lemma, "LEMMA")
        m.d.comb += [
            Assert(asked == _within(registers["phase"], Phase.READ, Phase.WRITE), "LEMMA"),
            Assert(
                (registers["phase"] != Phase.READ.value) | (asked_for == registers["index"]),
                "LEMMA",
            ),
            Assert(registers["kept"] == kept, "LEMMA"),
        ]
        return m

    def _lemmas(
        self,
        registers: dict[str, Signal],
        ours: Value,
        free: Value,
        place: Value,
        over: Value,
        begun: Signal,
    ) -> list[Value]:
        """Return what is known of the rows that were read."""
        phase, index, found = registers["phase"], registers["index"], registers["found"]
        looks = _within(phase, Phase.ASK, Phase.READ)
        writes = _within(phase, Phase.COMMIT, Phase.WRITE)
        count = len(ours)
        read = Cat(Const(n, 8) < index for n in range(count))
        seen = free & read
        nothing = Cat(found, registers["version"], registers["generation"]) == 0
        return [
            phase <= Phase.WRITE.value,
            (phase == 0) | begun,
            ~registers["done"] | (begun & (phase == 0)),
            begun | (~over & (phase == 0) & nothing & (index == 0) & ~registers["free"]),
            ~looks | (~over & (index < count) & nothing & ((ours & read) == 0)),
            ~looks | (registers["free"] == seen.any()),
            ~(looks & registers["free"]) | (registers["place"] == _first(seen)),
            ~over | found | (registers["free"] == free.any()),
            ~(over & (found | registers["free"])) | (registers["place"] == place),
            ~writes | (over & (found | registers["free"])),
        ]


def _first(bits: Value) -> Value:
    """Return the number of the lowest bit that is set."""
    number: Value = Const(0, 2)
    for n in reversed(range(len(bits))):
        number = Mux(bits[n], n, number)
    return number


def _within(phase: Signal, *phases: Phase) -> Value:
    return Cat(phase == one.value for one in phases).any()
