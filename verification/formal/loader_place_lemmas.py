# SPDX-License-Identifier: Apache-2.0
"""What is left to write or to read, in each phase of the loader."""

from dataclasses import dataclass
from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value

from blindvisor.hdl.abi import Result
from blindvisor.hdl.loader.gcm import _Phase as Message  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.header import HEADER_BLOCKS
from blindvisor.hdl.loader.process import Phase
from blindvisor.verification.formal.loader_environment import LoaderCopy

__all__ = ["FILLING", "Said", "lemmas"]

FRAME_BLOCKS = HEADER_BLOCKS + 1  # header and tag
BEGUN = (*(Phase.AUTHENTICATE, Phase.WRITE, Phase.COMMIT, Phase.RECORD),)
SHARED = (Phase.DERIVE, Phase.DERIVING, Phase.OPEN_CONTENTS, Phase.AUTHENTICATE)
CHECKED = (*SHARED, Phase.OPEN_KEY, Phase.UNWRAP, Phase.LOOK_UP)
"""From the check of the header to the first block of the contents."""
NUMBERED = (Phase.FIND, Phase.MAKE, *SHARED)
"""The same of a save."""
FILLING = (*CHECKED, Phase.WRITE, Phase.COMMIT, Phase.RECORD)
SEARCHES = (Phase.LOOK_UP, Phase.FIND, Phase.COMMIT, Phase.RECORD, Phase.COUNT, Phase.DRAIN)
LOADING = (*(Phase.LENGTH, Phase.HEADER, Phase.CHECK, Phase.OPEN_KEY, Phase.UNWRAP),)
SAVING = (*(Phase.NUMBER, Phase.FIND, Phase.MAKE, Phase.READ, Phase.COUNT, Phase.TAG, Phase.FLUSH),)


ASKED = "reader.$signal"
"""Words of the block that were asked for: the reader's only register without a name."""


@dataclass(frozen=True)
class Said:
    """What was said on the lane in this load or save.

    Members
    -------
    any, cluster, since
        A cluster was addressed; which one last; words that were written or read since.
    visited, words
        Clusters that were addressed; words that were written.
    """

    any: Any
    cluster: Any
    since: Any
    visited: Any
    words: Any

    def all(self) -> tuple[Any, ...]:
        """Return all members."""
        return self.any, self.cluster, self.since, self.visited, self.words


def lemmas(
    m: Module,
    copy: LoaderCopy,
    *,
    box: list[Signal],
    area: Signal,
    said: Said,
    nth: Any,
    word: Signal,
) -> list[tuple[str, Value]]:
    """Return lemmas; ``said`` is what will have been said when the command that waits is taken."""
    return [
        *_phases(copy, said),
        *_lengths(copy, box=box, area=area),
        *_writer(m, copy, box=box, area=area, said=said),
        *_reader(m, copy, box=box, area=area, said=said),
        *_words(copy, said=said, nth=nth, word=word),
    ]


def _phases(copy: LoaderCopy, said: Said) -> list[tuple[str, Value]]:
    """Return lemmas about which part works when."""
    r, process = copy.registers, copy.process
    phase, save, verdict = r["phase"], r["save"], r["verdict"]
    search, done = r["versions.phase"], r["versions.done"]
    writer, reader = _silent(r, "writer"), _silent(r, "reader")
    ends = (r["gcm.phase"] == Message.HASH.value) | (r["gcm.phase"] == Message.COMPARE.value)
    gathered, left = r["gather.count"] == 4, r["blocks_left"]
    asked = (r[ASKED] == 0) & (r["reader.answered"] == 0)
    early = _within(phase, (*LOADING, *SAVING[:3], *CHECKED, Phase.IDLE))
    return [
        ("phases", phase <= max(one.value for one in Phase)),
        ("phases", ~_within(phase, (*LOADING, Phase.WRITE, Phase.COMMIT, Phase.RECORD)) | ~save),
        ("phases", ~_within(phase, (*SAVING, Phase.IDLE)) | (save == (phase != Phase.IDLE))),
        ("phases", (phase != Phase.LOOK_UP) | ~save),
        ("silence", ~early | (Cat(said.all()) == 0)),
        ("verdict", (phase == Phase.DRAIN) | (verdict == 0)),
        ("reports", (r["reporter.phase"] == 0) | (phase == Phase.IDLE)),
        ("searches", (search == 0) | ~done),
        ("searches", _within(phase, SEARCHES) | ((search == 0) & ~done)),
        ("messages", r["gcm.phase"] <= Message.COMPARE.value),
        ("messages", ~ends | (phase != Phase.WRITE) | (gathered & (left == 0))),
        ("messages", ~ends | _within(phase, (Phase.UNWRAP, Phase.WRITE, Phase.TAG, Phase.DRAIN))),
        ("writer", writer | _within(phase, (Phase.WRITE, Phase.COMMIT, Phase.DRAIN))),
        ("writer", (writer & (r["writer.left"] == 0)) | ~save),
        (
            "writer",
            (r["writer.left"] == 0) | _within(phase, (Phase.WRITE, Phase.COMMIT, Phase.DRAIN)),
        ),
        ("writer", process.writer.idle | (phase != Phase.COMMIT) | ((search == 0) & ~done)),
        (
            "writer",
            process.writer.idle | (phase != Phase.DRAIN) | (verdict != Result.OK),
        ),
        ("writer", process.writer.idle | _within(phase, (Phase.WRITE, Phase.COMMIT, Phase.DRAIN))),
        ("reader", reader | _within(phase, (Phase.READ, *SAVING[4:], Phase.DRAIN))),
        ("reader", reader | save),
        ("reader", _within(phase, (Phase.READ, *SAVING[4:], Phase.DRAIN)) | asked),
        ("reader", _within(phase, (Phase.READ, *SAVING[4:], Phase.DRAIN)) | process.reader.idle),
    ]


def _lengths(copy: LoaderCopy, *, box: list[Signal], area: Signal) -> list[tuple[str, Value]]:
    """Return lemmas about counts of clusters, blocks and bytes before the contents."""
    r = copy.registers
    phase, save, length, left = r["phase"], r["save"], r["length"], r["blocks_left"]
    clusters, times, index = r["clusters"], r["times"], r["index"]
    count, contents = r["gather.count"], r["contents"]
    cluster_bytes, bad = r["check.cluster_bytes"], r["check.bad_size"]
    gathered = count == 4
    first = _within(phase, (Phase.LENGTH, Phase.NUMBER))
    header = phase == Phase.HEADER
    sound = (cluster_bytes != 0) & (cluster_bytes[:4] == 0) & (cluster_bytes <= 1024)
    whole = _times(area, cluster_bytes)
    loads = ~save & _within(phase, CHECKED)
    long = (length[:4] == 0) & (length >= 16 * FRAME_BLOCKS)
    memories = area.shift_left(copy.process.config.memory_bytes.bit_length() - 1 - 4)
    return [
        ("counts", ~first | (times <= box[3])),
        ("counts", ~first | ((clusters + _times(times, box[2])) == area)),
        ("counts", first | (phase == Phase.IDLE) | (phase == Phase.DRAIN) | (clusters == area)),
        ("counts", (phase != Phase.IDLE) | (clusters == 0)),
        ("header", count <= 4),
        ("header", ~(first | loads | (phase == Phase.CHECK)) | (count == 0)),
        ("header", (phase != Phase.IDLE) | ((count == 0) & (contents == 0))),
        ("header", ~(first | header) | (contents == 0)),
        ("header", ~header | ((index < HEADER_BLOCKS) & long)),
        ("header", ~header | ((index + gathered + left) == length[4:])),
        ("header", ~header | (index <= 1) | bad | sound),
        ("header", (phase != Phase.LENGTH) | (index == 0)),
        ("header", ~((phase == Phase.CHECK) | loads) | ((left + HEADER_BLOCKS) == length[4:])),
        ("header", ~((phase == Phase.CHECK) | loads) | long),
        ("header", (phase != Phase.CHECK) | bad | sound),
        ("header", (phase != Phase.CHECK) | (times <= area)),
        (
            "header",
            (phase != Phase.CHECK) | ((contents + _times(times, cluster_bytes)) == whole),
        ),
        ("header", ~(~save & _within(phase, FILLING)) | sound),
        ("header", ~loads | (length == whole + 16 * FRAME_BLOCKS)),
        ("memories", ~(save & _within(phase, NUMBERED)) | (left == memories)),
    ]


def _writer(
    m: Module, copy: LoaderCopy, *, box: list[Signal], area: Signal, said: Said
) -> list[tuple[str, Value]]:
    """Return lemmas about where the writer is."""
    r, part = copy.registers, copy.process.writer
    command = part.lane.command
    phase, save = r["phase"], r["save"]
    left, gone, due, column = (
        r[f"writer.{name}"] for name in ("left", "gone", "address_due", "column")
    )
    last = gone + 1 == part.cluster_bytes[2:]
    free = (~command.valid | command.ready) & (r["writer.unanswered"] < 2**7 - 2)
    finishes = free & (left != 0) & ~part.stop & ~due & last
    row = _row(m, copy, "writer", finishes)
    place = _times(row, box[2]) + column
    done = _times(place[:3], part.cluster_bytes[2:]) + gone
    whole = _times(area, part.cluster_bytes[2:])
    loads = ~save & _within(phase, BEGUN)
    begins = loads & (phase == Phase.AUTHENTICATE)
    writes = phase == Phase.WRITE
    ended = loads & _within(phase, (Phase.COMMIT, Phase.RECORD))
    coming = (r["gather.count"] == 4) + r["blocks_left"]
    return [
        ("position", ~loads | _at(copy, "writer", row, box)),
        ("position", ~loads | (gone < part.cluster_bytes[2:])),
        ("position", ~(loads & due) | (gone == 0)),
        ("position", ~begins | ((place == 0) & (gone == 0) & due)),
        ("position", ~loads | due | (row < box[3])),
        ("position", ~writes | (coming != 0)),
        ("position", ~writes | ((done + left + (coming << 2)) == whole + 4)),
        ("position", ~ended | ((done + left) == whole)),
        *(
            ("writer's place", ~loads | lemma)
            for lemma in _told(
                r, "writer", row, place, due, gone, part.cluster_bytes[2:], box, said
            )
        ),
    ]


def _reader(
    m: Module, copy: LoaderCopy, *, box: list[Signal], area: Signal, said: Said
) -> list[tuple[str, Value]]:
    """Return lemmas about where the reader is."""
    r, part = copy.registers, copy.process.reader
    phase, save = r["phase"], r["save"]
    asked = r[ASKED]
    gone, due, column = (r[f"reader.{name}"] for name in ("gone", "address_due", "column"))
    blocks_left = r["blocks_left"]
    blocks = copy.process.config.memory_words // 4
    takes = part.blocks.valid & part.blocks.ready
    row = _row(m, copy, "reader", takes & (gone == blocks - 1))
    place = _times(row, box[2]) + column
    done = (place * blocks) + gone
    begins = save & (phase == Phase.AUTHENTICATE)
    reads = phase == Phase.READ
    works = begins | reads
    return [
        ("position", ~works | _at(copy, "reader", row, box)),
        ("position", ~begins | ((place == 0) & (gone == 0) & due & (asked == 0))),
        ("position", ~reads | (blocks_left != 0)),
        ("position", ~works | ((done + blocks_left) == area * blocks)),
        ("position", ~(works & due) | ((gone == 0) & (asked == 0))),
        ("position", (asked <= 4) & (r["reader.answered"] <= 4)),
        ("position", (r["reader.answered"] <= asked)),
        *(
            ("reader's place", ~works | lemma)
            for lemma in _told(
                r, "reader", row, place, due, (gone << 2) + asked, 4 * blocks, box, said
            )
        ),
    ]


def _told(
    r: dict[str, Signal],
    part: str,
    row: Signal,
    place: Value,
    due: Signal,
    gone: Value,
    words: Any,
    box: list[Signal],
    said: Said,
) -> list[Value]:
    """Return what has been said, by where a part is."""
    cluster = r[f"{part}.cluster"]
    here = said.any & (said.since == gone) & (said.cluster == cluster)
    before = said.any & (said.since == words) & ((row == box[3]) | (said.cluster < cluster))
    return [
        due | here,
        ~due | before | (~said.any & (place == 0)),
        said.visited == (place + ~due)[:3],
    ]


def _words(copy: LoaderCopy, *, said: Said, nth: Any, word: Signal) -> list[tuple[str, Value]]:
    """Return what the writer holds of the plaintext."""
    r = copy.registers
    left, words = r["writer.left"], r["writer.words"]
    return [
        ("words", left <= 4),
        *(
            (
                "words",
                (left <= n) | (nth != (said.words + n)[:11]) | (words.word_select(n, 32) == word),
            )
            for n in range(4)
        ),
    ]


def _row(m: Module, copy: LoaderCopy, part: str, finishes: Value) -> Signal:
    """Return the row of the rectangle in which a part is."""
    row = Signal(range(4), name=f"row_of_{part}")
    begins = getattr(copy.process, part).begin
    with m.If(copy.dut.done | begins):
        m.d.sync += row.eq(0)
    with m.Elif(finishes & (copy.registers[f"{part}.column"] + 1 == copy.registers["width"])):
        m.d.sync += row.eq(row + 1)
    return row


def _at(copy: LoaderCopy, part: str, row: Signal, box: list[Signal]) -> Value:
    """Return whether a part is at a cluster of the rectangle, or just behind its last one."""
    x, y, width, height = box
    column, cluster = copy.registers[f"{part}.column"], copy.registers[f"{part}.cluster"]
    mesh = copy.process.config.width
    where = ((y + row) * mesh + x + column)[: len(cluster)]
    inside = (row < height) & (column < width)
    return (cluster == where) & (inside | ((row == height) & (column == 0)))


def _silent(r: dict[str, Signal], part: str) -> Value:
    return ~r[f"{part}.lane__command__valid"]


def _times(few: Value, many: Value) -> Value:
    """Return a product with a number below 8, as a sum."""
    bits = enumerate(few[:3])
    return sum((Mux(bit, many.shift_left(n), 0) for n, bit in bits), start=Value.cast(0))


def _within(phase: Signal, phases: tuple[Phase, ...]) -> Value:
    return Cat(phase == one for one in phases).any()
