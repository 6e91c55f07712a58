# SPDX-License-Identifier: Apache-2.0
"""When the loader says OK, when it speaks to clusters, and what it writes into the store."""

from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Cover

from blindvisor.hdl.abi import Result
from blindvisor.hdl.ionet.flits import LaneOp, lane_command
from blindvisor.hdl.loader.gcm import _Phase as Message  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.header import block_of
from blindvisor.hdl.loader.process import Phase
from blindvisor.hdl.loader.store import STORE_ROW
from blindvisor.hdl.loader.versions import _Phase as Search  # pyright: ignore[reportPrivateUsage]
from blindvisor.verification.formal.loader_environment import (
    CONFIG,
    LoaderCopy,
    LoaderEnvironment,
    Wish,
)

__all__ = ["LoaderSpec"]

IDENTITY = block_of("identity")
LOADING = (
    *(Phase.LENGTH, Phase.HEADER, Phase.CHECK, Phase.OPEN_KEY, Phase.UNWRAP, Phase.LOOK_UP),
    *(Phase.WRITE, Phase.COMMIT, Phase.RECORD),
)
SAVING = (*(Phase.NUMBER, Phase.FIND, Phase.MAKE, Phase.READ, Phase.COUNT, Phase.TAG, Phase.FLUSH),)
SHARED = (Phase.DERIVE, Phase.DERIVING, Phase.OPEN_CONTENTS, Phase.AUTHENTICATE)
"""Phases of both; the others are IDLE and DRAIN."""
OPENED = (Phase.LOOK_UP, Phase.OPEN_CONTENTS, Phase.AUTHENTICATE, Phase.WRITE)
"""Of a load: the key's tag has matched, if there is one."""
AUTHENTIC = (Phase.COMMIT, Phase.RECORD)
"""Of a load: all tags have matched."""
SEARCHING = (Phase.LOOK_UP, Phase.FIND)
WRITING = (Phase.COMMIT, Phase.COUNT)


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
        A row is written only over a free one or one of the same identity. Neither version nor
        generation are lower than before; a save counts the generation up by one.
    P6-STAYS
        A request stands, unchanged, until the store takes it, whatever ends the load or save.
    P3-SILENT
        Nothing is sent while neither a load nor a save runs; WRITE only in a load, READ only in a
        save.

    The lemmas say in which phases the parts of the loader work, and what is known then.
    """

    def __init__(self, wish: Wish = Wish.LOAD) -> None:
        super().__init__(copies=1, wish=wish)

    def elaborate(self, platform: object) -> Module:
        """Look at every comparison of tags and at every request to the store."""
        m = Module()
        copy = self._copy(m, 0)
        dut, gcm, save = copy.dut, copy.gcm, copy.registers["save"]
        flags = copy.registers["check.flags"]
        sealed = flags[0] & ~flags[2]
        matched, spoiled = Signal(range(3)), Signal()
        asked, durable, reading = Signal(), Signal(), Signal()
        row = Signal(STORE_ROW)  # that was read last; the store has one
        request = dut.store.request
        with m.If(dut.done):
            m.d.sync += [matched.eq(0), spoiled.eq(0), asked.eq(0), durable.eq(0)]
        with m.Else():
            with m.If(gcm.done):
                m.d.sync += [matched.eq(matched + gcm.match), spoiled.eq(spoiled | ~gcm.match)]
            with m.If(request.valid & request.ready):
                m.d.sync += asked.eq(request.payload.write)
            with m.If(asked & self.store_valid):
                m.d.sync += durable.eq(1)
        with m.If(request.valid & request.ready & ~request.payload.write):
            m.d.sync += reading.eq(1)
        with m.Elif(reading & self.store_valid):
            m.d.sync += [reading.eq(0), row.eq(self.store_row)]

        ok, speaks = dut.result == Result.OK, dut.lane.command.valid
        op = dut.lane.command.payload.op
        made = gcm.tag.bit_select(self.position, 1)
        given = gcm.source.payload.data.bit_select(self.position, 1)
        all_tags = (matched == Mux(sealed, 1, 2)) & ~spoiled
        ours = row.valid & (row.identity == copy.header[IDENTITY])
        needless = ~ours & (copy.registers["check.security_version"] == 0) & ~flags[0]
        m.d.comb += [
            Assert(~ok | dut.done, "P6-OK"),
            Assert(~(ok & ~save) | all_tags, "P6-OK"),
            Assert(~(gcm.done & gcm.match) | (made == given), "P6-WHOLE"),
            Assert(~(speaks & ~save & ~sealed) | (matched != 0), "P6-WRITE"),
            Assert(~(save & gcm.done) | durable, "P6-DURABLE"),
            Assert(~ok | durable | (needless & ~save), "P6-DURABLE"),
            Assert(~speaks | dut.busy, "P3-SILENT"),
            Assert(~(speaks & save) | (op != LaneOp.WRITE), "P3-SILENT"),
            Assert(~(speaks & ~save) | (op != LaneOp.READ), "P3-SILENT"),
            Cover(speaks & ~save, "a cluster is written"),
            Cover(ok & ~save, "a load ends well"),
            Cover(speaks & save, "a cluster is read"),
            Cover(ok & save, "a save ends well"),
            Cover(dut.report.words.valid, "a report is made"),
        ]
        self._store(m, dut, row, save)
        for name, lemma in (
            *self._phases(copy),
            *_tags(copy, matched, spoiled, all_tags, sealed),
            *_parts(copy, matched, sealed),
            *_searches(copy, reading, asked),
            *_rows(copy, row, ours),
            *_durable(copy, durable, needless),
        ):
            m.d.comb += Assert(lemma, f"lemma: {name}")
        return m

    def _store(self, m: Module, dut: Any, row: Any, save: Signal) -> None:
        """Claim what requests to the store are like."""
        request, payload = dut.store.request, dut.store.request.payload
        new = payload.row
        said = Cat(payload.write, payload.index, new.identity, new.version, new.generation)
        waiting, was = Signal(), Signal.like(said)
        m.d.sync += [waiting.eq(request.valid & ~request.ready), was.eq(said)]
        writes = request.valid & payload.write
        more = row.generation + save  # one bit wider: it cannot wrap
        kept = (new.version >= row.version) & (new.generation >= more)
        m.d.comb += [
            Assert(~waiting | (request.valid & (said == was)), "P6-STAYS"),
            Assert(~writes | ~row.valid | (new.identity == row.identity), "P6-ROW"),
            Assert(~writes | ~row.valid | kept, "P6-ROW"),
            Assert(~writes | ~row.valid | ~save | (new.generation == more), "P6-ROW"),
            Assert(~writes | (new.valid & (new.reserved == 0)), "P6-ROW"),
            Cover(writes & row.valid, "a row is written over"),
        ]

    def _phases(self, copy: LoaderCopy) -> list[tuple[str, Value]]:
        """Return lemmas about the phases of the process."""
        r = copy.registers
        phase, save, verdict = r["phase"], r["save"], r["verdict"]
        records = Array(copy.records)
        return [
            ("phases", phase <= max(one.value for one in Phase)),
            ("phases", ~_within(phase, LOADING) | ~save),
            ("phases", ~_within(phase, SAVING) | save),
            ("phases", (phase != Phase.IDLE) | ~save),
            ("verdict", (phase == Phase.DRAIN) | (verdict == 0)),
            ("reports", (r["reporter.phase"] == 0) | (phase == Phase.IDLE)),
            (
                "identity",
                ~_within(phase, (Phase.FIND, Phase.MAKE))
                | (copy.header[IDENTITY] == records[r["vm"][:1] << 2]),
            ),
        ]


def _tags(
    copy: LoaderCopy, matched: Signal, spoiled: Signal, all_tags: Value, sealed: Value
) -> list[tuple[str, Value]]:
    """Return lemmas about how many tags have matched in which phase, and when GCM ends one."""
    r = copy.registers
    phase, save, message = r["phase"], r["save"], r["gcm.phase"]
    none = (matched == 0) & ~spoiled
    opened = (matched == Mux(sealed, 0, 1)) & ~spoiled
    later = (*OPENED, *AUTHENTIC, Phase.DRAIN)
    judging = (Phase.UNWRAP, Phase.WRITE, Phase.TAG, Phase.DRAIN)
    saved = (Phase.TAG, Phase.FLUSH, Phase.DRAIN)
    ends = (message == Message.HASH.value) | (message == Message.COMPARE.value)
    return [
        ("tags", save | _within(phase, later) | none),
        ("tags", ~save | _within(phase, saved) | none),
        ("tags", save | ~_within(phase, OPENED) | opened),
        ("tags", ~_within(phase, AUTHENTIC) | all_tags),
        ("tags", save | (phase != Phase.DRAIN) | (r["verdict"] != Result.OK) | all_tags),
        ("sealed", ~_within(phase, (Phase.OPEN_KEY, Phase.UNWRAP)) | ~sealed),
        ("messages", message <= Message.COMPARE.value),
        ("messages", ~ends | _within(phase, judging)),
    ]


def _parts(copy: LoaderCopy, matched: Signal, sealed: Value) -> list[tuple[str, Value]]:
    """Return lemmas about when the writer and the reader work."""
    process, r = copy.process, copy.registers
    phase, save = r["phase"], r["save"]
    writes, reads = ~process.writer.idle, ~process.reader.idle
    searches = (r["versions.phase"] != 0) | r["versions.done"]
    given = lane_command(CONFIG)["op"]

    def op(part: str) -> Value:
        return r[f"{part}.lane__command__payload"][given.offset : given.offset + given.width]

    return [
        ("writer", ~writes | _within(phase, (Phase.WRITE, Phase.COMMIT, Phase.DRAIN))),
        ("writer", ~writes | (~save & (sealed | (matched != 0)))),
        ("writer", ~writes | (phase != Phase.COMMIT) | ~searches),
        ("writer", ~r["writer.lane__command__valid"] | (op("writer") != LaneOp.READ.value)),
        ("reader", ~reads | (save & _within(phase, (*SAVING[3:], Phase.DRAIN)))),
        ("reader", ~r["reader.lane__command__valid"] | (op("reader") != LaneOp.WRITE.value)),
    ]


def _searches(copy: LoaderCopy, reading: Signal, asked: Signal) -> list[tuple[str, Value]]:
    """Return lemmas about when the store is searched, and when a row is written."""
    r = copy.registers
    phase, search, done = r["phase"], r["versions.phase"], r["versions.done"]
    looks = (search == Search.ASK.value) | (search == Search.READ.value)
    writes = (search == Search.COMMIT.value) | (search == Search.WRITE.value)
    known = ("found", "free", "index", "version", "generation")
    fresh = ~Cat(r[f"versions.{name}"] != 0 for name in known).any() & ~done
    before = (*LOADING[:5], Phase.IDLE, Phase.NUMBER)
    derives = ~r["save"] & _within(phase, SHARED[:2])
    begins = _within(phase, SEARCHING) & (search == 0) & ~done
    return [
        ("searches", search <= Search.WRITE.value),
        ("searches", (search == 0) | ~done),
        ("searches", (search == 0) | (phase != Phase.DRAIN) | (r["verdict"] != Result.OK)),
        ("searches", ~(looks | done) | _within(phase, (*SEARCHING, *WRITING, Phase.DRAIN))),
        ("searches", ~looks | ~_within(phase, WRITING)),
        ("searches", ~writes | _within(phase, (*WRITING, Phase.DRAIN))),
        ("searches", ~(_within(phase, before) | derives) | (fresh & (search == 0))),
        ("searches", ~(looks | begins) | fresh),
        ("searches", (search == Search.READ.value) == reading),
        ("searches", (search != Search.WRITE.value) | asked),
        ("searches", r["versions.place"] == 0),
        ("index", ~_within(phase, (Phase.NUMBER, *SEARCHING, *WRITING)) | (r["index"] == IDENTITY)),
        ("index", (search == 0) | (r["index"] == IDENTITY)),
    ]


def _rows(copy: LoaderCopy, row: Any, ours: Value) -> list[tuple[str, Value]]:
    """Return lemmas about what is known of the row once it was read."""
    r = copy.registers
    phase, search, save = r["phase"], r["versions.phase"], r["save"]
    found, free, version, generation = (
        r[f"versions.{name}"] for name in ("found", "free", "version", "generation")
    )
    writes = (search == Search.COMMIT.value) | (search == Search.WRITE.value)
    after = _within(phase, (*OPENED[1:3], *SHARED[:2])) & save
    loads = ~save & _within(phase, (*OPENED[1:], *AUTHENTIC))
    saves = _within(phase, SAVING[2:]) | after
    seen = writes | loads | saves | (_within(phase, SEARCHING) & r["versions.done"])
    is_saved = r["check.flags"][0]
    nothing = ~found & (r["check.security_version"] == 0) & ~is_saved
    no_older = (r["check.security_version"] >= version) & (
        ~is_saved | (r["check.generation"] >= generation)
    )
    kept_version, kept_generation = r["versions.kept"][:32], r["versions.kept"][32:]
    return [
        ("row", ~seen | ((found == ours) & (free == ~row.valid))),
        ("row", ~(seen & found) | ((version == row.version) & (generation == row.generation))),
        ("row", ~seen | found | ((version == 0) & (generation == 0))),
        ("row", ~loads | (no_older & (found | free | nothing))),
        ("row", ~saves | ((found | free) & ~generation.all())),
        ("row", ~writes | ((found | free) & (kept_version >= version))),
        ("row", ~writes | save | (kept_generation >= generation)),
        ("row", ~writes | save | ~nothing),
        ("row", ~writes | ~save | (kept_generation == (generation + 1))),
    ]


def _durable(copy: LoaderCopy, durable: Signal, needless: Value) -> list[tuple[str, Value]]:
    """Return lemmas about when a row is durable."""
    r = copy.registers
    phase = r["phase"]
    well = (phase == Phase.DRAIN) & (r["verdict"] == Result.OK)
    needed = _within(phase, (Phase.TAG, Phase.FLUSH)) | (well & r["save"])
    return [
        ("durable", ~(_within(phase, WRITING) & r["versions.done"]) | durable),
        ("durable", ~needed | durable),
        ("durable", ~((phase == Phase.RECORD) | well) | r["save"] | durable | needless),
    ]


def _within(phase: Signal, phases: tuple[Phase, ...]) -> Value:
    return Cat(phase == one for one in phases).any()
