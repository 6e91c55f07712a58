# SPDX-License-Identifier: Apache-2.0
"""In which phases the parts of the loader work, and what is known then."""

from dataclasses import dataclass

from amaranth import Array, Cat, Mux, Signal, Value
from amaranth.lib import data

from blindvisor.hdl.abi import Result
from blindvisor.hdl.ionet.flits import LaneOp, lane_command
from blindvisor.hdl.loader.gcm import _Phase as Message  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.header import HEADER_BLOCKS, block_of
from blindvisor.hdl.loader.process import Phase
from blindvisor.hdl.loader.versions import _Phase as Search  # pyright: ignore[reportPrivateUsage]
from blindvisor.verification.formal.loader_environment import LoaderCopy

__all__ = ["IDENTITY", "VERSIONS", "Known", "lemmas"]

IDENTITY = block_of("identity")
VERSIONS = block_of("security_version")
"""Blocks of the header; the latter has the generation, too."""
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


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a specification remembers of one load or save.

    Members
    -------
    matched, spoiled
        Tags that matched; one did not.
    asked, durable
        The store was asked to write; it has said that the row is durable.
    reading, place
        The store was asked for a row, and has not answered; number of this row.
    read, rows
        Rows that were read, by number; what they hold.
    line
        Generation that the slot's record had at the start.
    """

    matched: Signal
    spoiled: Signal
    asked: Signal
    durable: Signal
    reading: Signal
    place: Signal
    read: Signal
    rows: list[data.View]
    line: Signal

    def ours(self, identity: Value) -> Value:
        """Return which rows are those of an identity."""
        return Cat(
            read & row.valid & (row.identity == identity)
            for read, row in zip(self.read, self.rows, strict=True)
        )


def lemmas(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return all lemmas, each with what it is about."""
    r = copy.registers
    flags = r["check.flags"]
    sealed = flags[0] & ~flags[2]
    ours = known.ours(copy.header[IDENTITY]).any()
    needless = ~ours & (r["check.security_version"] == 0) & ~flags[0]
    return [
        *_phases(copy),
        *_tags(copy, known, sealed),
        *_parts(copy, known, sealed),
        *_searches(copy, known),
        *_found(copy, known),
        *_versions(copy, known),
        *_header(copy, known),
        *_durable(copy, known, needless),
    ]


def _phases(copy: LoaderCopy) -> list[tuple[str, Value]]:
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


def _tags(copy: LoaderCopy, known: Known, sealed: Value) -> list[tuple[str, Value]]:
    """Return lemmas about how many tags have matched in which phase, and when GCM ends one."""
    r, matched, spoiled = copy.registers, known.matched, known.spoiled
    phase, save, message = r["phase"], r["save"], r["gcm.phase"]
    none = (matched == 0) & ~spoiled
    opened = (matched == Mux(sealed, 0, 1)) & ~spoiled
    all_tags = (matched == Mux(sealed, 1, 2)) & ~spoiled
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


def _parts(copy: LoaderCopy, known: Known, sealed: Value) -> list[tuple[str, Value]]:
    """Return lemmas about when the writer and the reader work."""
    process, r = copy.process, copy.registers
    phase, save = r["phase"], r["save"]
    writes, reads = ~process.writer.idle, ~process.reader.idle
    searches = (r["versions.phase"] != 0) | r["versions.done"]
    given = lane_command(process.config)["op"]

    def op(part: str) -> Value:
        return r[f"{part}.lane__command__payload"][given.offset : given.offset + given.width]

    return [
        ("writer", ~writes | _within(phase, (Phase.WRITE, Phase.COMMIT, Phase.DRAIN))),
        ("writer", ~writes | (~save & (sealed | (known.matched != 0)))),
        ("writer", ~writes | (phase != Phase.COMMIT) | ~searches),
        ("writer", ~r["writer.lane__command__valid"] | (op("writer") != LaneOp.READ.value)),
        ("reader", ~reads | (save & _within(phase, (*SAVING[3:], Phase.DRAIN)))),
        ("reader", ~r["reader.lane__command__valid"] | (op("reader") != LaneOp.WRITE.value)),
    ]


def _searches(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return lemmas about when the store is searched, and when a row is written."""
    r, read = copy.registers, known.read
    phase, search, done = r["phase"], r["versions.phase"], r["versions.done"]
    index = r["versions.index"]
    looks = (search == Search.ASK.value) | (search == Search.READ.value)
    names = ("found", "version", "generation")
    nothing = ~Cat(r[f"versions.{name}"] != 0 for name in names).any() & ~done
    fresh = nothing & (index == 0) & ~r["versions.free"] & (read == 0)
    before = (*LOADING[:5], Phase.IDLE, Phase.NUMBER)
    derives = ~r["save"] & _within(phase, SHARED[:2])
    begins = _within(phase, SEARCHING) & (search == 0) & ~done
    return [
        ("searches", search <= Search.WRITE.value),
        ("searches", (search == 0) | ~done),
        ("searches", (search == 0) | (phase != Phase.DRAIN) | (r["verdict"] != Result.OK)),
        ("searches", ~(looks | done) | _within(phase, (*SEARCHING, *WRITING, Phase.DRAIN))),
        ("searches", ~looks | ~_within(phase, WRITING)),
        ("searches", ~_writes(copy) | _within(phase, (*WRITING, Phase.DRAIN))),
        ("searches", ~(_within(phase, before) | derives | begins) | fresh),
        ("searches", ~(_within(phase, before) | derives) | (search == 0)),
        ("searches", ~looks | (nothing & (index < len(read)))),
        ("searches", ~looks | Cat(read[n] == (index > n) for n in range(len(read))).all()),
        ("searches", (search == Search.READ.value) == known.reading),
        ("searches", ~known.reading | (known.place == index)),
        ("searches", (search != Search.WRITE.value) | known.asked),
        ("searches", r["versions.place"] < len(read)),
        ("index", ~_within(phase, (Phase.NUMBER, *SEARCHING, *WRITING)) | (r["index"] == IDENTITY)),
        ("index", (search == 0) | (r["index"] == IDENTITY)),
    ]


def _seen(copy: LoaderCopy) -> tuple[Value, Value, Value]:
    """Return whether a search is over, and whether so in a load, in a save."""
    r = copy.registers
    phase, save = r["phase"], r["save"]
    after = _within(phase, (*OPENED[1:3], *SHARED[:2])) & save
    loads = ~save & _within(phase, (*OPENED[1:], *AUTHENTIC))
    saves = _within(phase, SAVING[2:]) | after
    over = _writes(copy) | loads | saves | (_within(phase, SEARCHING) & r["versions.done"])
    return over, loads, saves


def _found(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return lemmas about what is found of the rows that were read."""
    r = copy.registers
    found, free, place, version, generation = (
        r[f"versions.{name}"] for name in ("found", "free", "place", "version", "generation")
    )
    search = r["versions.phase"]
    looks = (search == Search.ASK.value) | (search == Search.READ.value)
    over, _, _ = _seen(copy)
    ours = known.ours(copy.header[IDENTITY])
    frees = Cat(read & ~row.valid for read, row in zip(known.read, known.rows, strict=True))
    row = data.View(known.rows[0].shape(), Array(known.rows)[place])
    here = (1 << place)[: len(ours)]
    return [
        ("row", ~looks | (ours == 0)),
        ("row", ~looks | (free == frees.any())),
        ("row", ~(looks & free) | frees.bit_select(place, 1)),
        ("row", ~over | (found == ours.any())),
        ("row", ~(over & found) | (ours == here)),
        ("row", ~(over & found) | ((version == row.version) & (generation == row.generation))),
        ("row", ~over | found | ((version == 0) & (generation == 0))),
        ("row", ~over | found | (known.read.all() & (free == frees.any()))),
        ("row", ~(over & free) | found | frees.bit_select(place, 1)),
    ]


def _versions(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return lemmas about versions and generations: of the header, the row and the slot."""
    r = copy.registers
    phase, save, index = r["phase"], r["save"], r["index"]
    found, free, version, generation = (
        r[f"versions.{name}"] for name in ("found", "free", "version", "generation")
    )
    writes = _writes(copy)
    _, loads, saves = _seen(copy)
    is_saved = r["check.flags"][0]
    nothing = ~found & (r["check.security_version"] == 0) & ~is_saved
    no_older = (r["check.security_version"] >= version) & (
        ~is_saved | (r["check.generation"] >= generation)
    )
    kept_version, kept_generation = r["versions.kept"][:32], r["versions.kept"][32:]
    kept_loaded = Mux(is_saved, r["check.generation"], generation)
    vm = r["vm"][:1]
    line = Array(copy.records[-2:])[vm]
    attributes = Value.cast(Array(copy.records)[Cat(1, 0, vm)])
    latest = (known.line == generation) & (attributes[32:64] >= version)
    checked = (saves & ((phase != Phase.MAKE) | (index != 0))) | (writes & save)
    return [
        ("versions", ~loads | (no_older & (found | free | nothing))),
        ("versions", ~saves | ((found | free) & ~generation.all())),
        ("versions", ~writes | found | free),
        ("versions", ~writes | save | (no_older & ~nothing)),
        ("versions", ~writes | save | (kept_version == r["check.security_version"])),
        ("versions", ~writes | save | (kept_generation == kept_loaded)),
        ("versions", ~writes | ~save | (kept_version == version)),
        ("versions", ~writes | ~save | (kept_generation == (generation + 1))),
        ("latest", ~_within(phase, SAVING[:3]) | (known.line == line)),
        ("latest", ~checked | latest),
    ]


def _header(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return lemmas about the blocks of the header that hold flags and versions."""
    r = copy.registers
    phase, save, index, flags = r["phase"], r["save"], r["index"], r["check.flags"]
    writes, header = _writes(copy), phase == Phase.HEADER
    block = copy.header[VERSIONS]
    version, generation = block[32:64], block[64:96]
    later = (*SHARED, *LOADING[2:])
    well = (phase == Phase.DRAIN) & (r["verdict"] == Result.OK)
    loaded = ~save & (_within(phase, later) | writes | well)
    _, _, saves = _seen(copy)
    made = (saves & ((phase != Phase.MAKE) | (index > VERSIONS))) | (writes & save)
    same = (version == r["check.security_version"]) & (generation == r["check.generation"])
    return [
        ("header", (phase != Phase.LENGTH) | (index == 0)),
        ("header", ~(header | (phase == Phase.MAKE)) | (index < HEADER_BLOCKS)),
        ("header", ~(loaded | (header & (index != 0))) | (copy.header[0][80:96] == flags)),
        ("header", ~(loaded | (header & (index > VERSIONS))) | same),
        ("header", ~(save | (phase == Phase.IDLE)) | (flags == 0)),
        ("header", ~made | (generation == (r["versions.generation"] + 1)[:32])),
    ]


def _durable(copy: LoaderCopy, known: Known, needless: Value) -> list[tuple[str, Value]]:
    """Return lemmas about when a row is durable."""
    r, durable = copy.registers, known.durable
    phase = r["phase"]
    well = (phase == Phase.DRAIN) & (r["verdict"] == Result.OK)
    needed = _within(phase, (Phase.TAG, Phase.FLUSH)) | (well & r["save"])
    return [
        ("durable", ~(_within(phase, WRITING) & r["versions.done"]) | durable),
        ("durable", ~needed | durable),
        ("durable", ~((phase == Phase.RECORD) | well) | r["save"] | durable | needless),
    ]


def _writes(copy: LoaderCopy) -> Value:
    """Return whether a row waits to be written, or is."""
    search = copy.registers["versions.phase"]
    return (search == Search.COMMIT.value) | (search == Search.WRITE.value)


def _within(phase: Signal, phases: tuple[Phase, ...]) -> Value:
    return Cat(phase == one for one in phases).any()
