# SPDX-License-Identifier: Apache-2.0
"""When the loader says OK, when it speaks to clusters, and what it writes into the store."""

from dataclasses import replace

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Cover
from amaranth.lib import data

from blindvisor.hdl.abi import Result
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.hdl.loader.store import STORE_ROW
from blindvisor.verification.formal.loader_environment import (
    CONFIG,
    LoaderCopy,
    LoaderEnvironment,
    Wish,
)
from blindvisor.verification.formal.loader_lemmas import IDENTITY, VERSIONS, Known, lemmas

__all__ = ["LoaderSpec"]

ROWS = 3


class LoaderSpec(LoaderEnvironment):
    """A loader counts the tags that matched; the store answers what it likes, when it likes.

    Claims
    ------
    P6-OK
        A load's result is OK only after all of its tags matched in this load: the key's, then the
        contents'; the contents' alone if the header says that the key is derived, not wrapped.
    P6-WHOLE
        A tag matches only if the bit at any position does, in the one cycle in which all are
        compared: comparison takes the same time whatever the tags are.
    P6-WRITE
        In a load, nothing is sent to a cluster before the key's tag has matched, if the key is
        wrapped.
    P6-DURABLE
        A save gives its tag, and a load or a save is OK, only after the store has said that a row
        is durable; except for a load of version 0, not saved, of which the store knows nothing.
    P6-ROW
        A row is written only over the one of the same identity or, if all were read and none has
        it, over a free one. Neither version nor generation are lower than before; a save counts
        the generation up by one, and leaves the version.
    P6-HEADER
        What a load writes is the version that its header has, with the header's generation if it
        is saved, else the row's. What a save writes is the generation that its own header has.
    P6-LATEST
        A save writes only if the slot's state was the latest of its identity when the save began:
        its generation is that of the row, its version not lower.
    P6-STAYS
        A request stands, unchanged, until the store takes it, whatever ends the load or save.
    P6-RESUMED
        ``resumed`` is high exactly with the OK of a load whose header says SAVED.
    P3-SILENT
        Nothing is sent while neither a load nor a save runs; WRITE only in a load, READ only in a
        save.

    The lemmas say in which phases the parts of the loader work, and what is known then.
    """

    def __init__(self, wish: Wish = Wish.LOAD) -> None:
        config = replace(CONFIG, name="proof-rows", store_rows=ROWS)
        super().__init__(copies=1, wish=wish, config=config)

    def elaborate(self, platform: object) -> Module:
        """Look at every comparison of tags and at every request to the store."""
        m = Module()
        copy = self._copy(m, 0)
        dut, gcm, save = copy.dut, copy.gcm, copy.registers["save"]
        flags = copy.registers["check.flags"]
        sealed = flags[0] & ~flags[2]
        known = self._remember(m, copy)
        matched, durable = known.matched, known.durable

        ok, speaks = dut.result == Result.OK, dut.lane.command.valid
        op = dut.lane.command.payload.op
        made = gcm.tag.bit_select(self.position, 1)
        given = gcm.source.payload.data.bit_select(self.position, 1)
        all_tags = (matched == Mux(sealed, 1, 2)) & ~known.spoiled
        ours = known.ours(copy.header[IDENTITY]).any()
        needless = ~ours & (copy.registers["check.security_version"] == 0) & ~flags[0]
        m.d.comb += [
            Assert(~ok | dut.done, "P6-OK"),
            Assert(~(ok & ~save) | all_tags, "P6-OK"),
            Assert(~(gcm.done & gcm.match) | (made == given), "P6-WHOLE"),
            Assert(~(speaks & ~save & ~sealed) | (matched != 0), "P6-WRITE"),
            Assert(~(save & gcm.done) | durable, "P6-DURABLE"),
            Assert(~ok | durable | (needless & ~save), "P6-DURABLE"),
            Assert(dut.resumed == (ok & ~save & copy.header[0][80]), "P6-RESUMED"),
            Assert(~speaks | dut.busy, "P3-SILENT"),
            Assert(~(speaks & save) | (op != LaneOp.WRITE), "P3-SILENT"),
            Assert(~(speaks & ~save) | (op != LaneOp.READ), "P3-SILENT"),
            Cover(speaks & ~save, "a cluster is written"),
            Cover(ok & ~save, "a load ends well"),
            Cover(dut.resumed, "a saved state is restored"),
            Cover(speaks & save, "a cluster is read"),
            Cover(ok & save, "a save ends well"),
            Cover(dut.result == Result.IMAGE_OLD, "a load or save of an old state is refused"),
            Cover(dut.report.words.valid, "a report is made"),
        ]
        self._store(m, copy, known)
        for name, lemma in lemmas(copy, known):
            m.d.comb += Assert(lemma, f"lemma: {name}")
        return m

    def _remember(self, m: Module, copy: LoaderCopy) -> Known:
        """Remember tags, and what was said to and by the store."""
        dut, gcm, request = copy.dut, copy.gcm, copy.dut.store.request
        known = Known(
            matched=Signal(range(3)),
            spoiled=Signal(name="spoiled"),
            asked=Signal(name="asked"),
            durable=Signal(name="durable"),
            reading=Signal(name="reading"),
            place=Signal(range(ROWS), name="asked_for"),
            read=Signal(ROWS, name="read"),
            rows=[Signal(STORE_ROW, name=f"row{n}") for n in range(ROWS)],
            line=Signal(32, name="line"),
        )
        taken = request.valid & request.ready
        answered = known.reading & self.store_valid
        with m.If(dut.done):
            m.d.sync += [
                signal.eq(0)
                for signal in (known.matched, known.spoiled, known.asked, known.durable, known.read)
            ]
        with m.Else():
            with m.If(gcm.done):
                m.d.sync += [
                    known.matched.eq(known.matched + gcm.match),
                    known.spoiled.eq(known.spoiled | ~gcm.match),
                ]
            with m.If(taken):
                m.d.sync += known.asked.eq(request.payload.write)
            with m.If(known.asked & self.store_valid):
                m.d.sync += known.durable.eq(1)
            with m.If(answered):
                m.d.sync += known.read.bit_select(known.place, 1).eq(1)
        with m.If(taken & ~request.payload.write):
            m.d.sync += [known.reading.eq(1), known.place.eq(request.payload.index)]
        with m.Elif(answered):
            m.d.sync += known.reading.eq(0)
        for n, row in enumerate(known.rows):
            with m.If(answered & (known.place == n)):
                m.d.sync += row.eq(self.store_row)
        with m.If(~dut.busy):
            m.d.sync += known.line.eq(Array(copy.records[-2:])[dut.vm[:1]])
        return known

    def _store(self, m: Module, copy: LoaderCopy, known: Known) -> None:
        """Claim what requests to the store are like."""
        dut, save = copy.dut, copy.registers["save"]
        request, payload = dut.store.request, dut.store.request.payload
        new = payload.row
        said = Cat(payload.write, payload.index, new.identity, new.version, new.generation)
        waiting, was = Signal(), Signal.like(said)
        m.d.sync += [waiting.eq(request.valid & ~request.ready), was.eq(said)]
        writes = request.valid & payload.write
        over = data.View(STORE_ROW, Array(known.rows)[payload.index])
        was_version = Mux(over.valid, over.version, 0)
        was_generation = Mux(over.valid, over.generation, 0)
        more = was_generation + save  # one bit wider: it cannot wrap
        identity, block = copy.header[IDENTITY], copy.header[VERSIONS]
        version, generation = block[32:64], block[64:96]
        ours, here = known.ours(identity), (1 << payload.index)[:ROWS]
        attributes = Value.cast(Array(copy.records)[Cat(1, 0, copy.registers["vm"][:1])])
        loaded = Mux(copy.header[0][80], generation, was_generation)
        loads, saves = writes & ~save, writes & save
        m.d.comb += [
            Assert(~waiting | (request.valid & (said == was)), "P6-STAYS"),
            Assert(~writes | (known.read & here).any(), "P6-ROW"),
            Assert(
                ~writes | Mux(over.valid, ours == here, ~ours.any() & known.read.all()), "P6-ROW"
            ),
            Assert(~writes | (new.identity == identity), "P6-ROW"),
            Assert(~writes | (new.version >= was_version), "P6-ROW"),
            Assert(~writes | (new.generation >= more), "P6-ROW"),
            Assert(~saves | ((new.version == was_version) & (new.generation == more)), "P6-ROW"),
            Assert(~writes | (new.valid & (new.reserved == 0)), "P6-ROW"),
            Assert(~loads | ((new.version == version) & (new.generation == loaded)), "P6-HEADER"),
            Assert(~saves | (new.generation == generation), "P6-HEADER"),
            Assert(~saves | (known.line == was_generation), "P6-LATEST"),
            Assert(~saves | (attributes[32:64] >= was_version), "P6-LATEST"),
            Cover(writes & over.valid, "a row is written over"),
            Cover(writes & ~over.valid & ~save, "a row is written for a new identity"),
        ]
