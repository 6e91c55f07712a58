# SPDX-License-Identifier: Apache-2.0
"""Where the loader writes and reads, and what it writes there."""

from typing import Any, ClassVar

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data

from blindvisor.hdl.abi import Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp, lane_command
from blindvisor.hdl.loader.process import Phase
from blindvisor.verification.formal.loader_environment import (
    LoaderCopy,
    LoaderEnvironment,
    Wish,
)
from blindvisor.verification.formal.loader_place_lemmas import FILLING, Said, lemmas

__all__ = ["LoaderPlaceSpec"]

CONFIG = MachineConfig(name="place", width=3, height=2, vms=2, memory_bytes=1024, store_rows=1)
"""Three clusters wide, so that a step to the next row is not always one to the next cluster."""


class LoaderPlaceSpec(LoaderEnvironment):
    """A loader that is given a rectangle when it starts, and anything at its ports afterwards.

    Claims
    ------
    P3-INSIDE
        Whatever the loader says names a cluster of the rectangle that its ports had when it
        started.
    P3-ORDER
        It addresses one cluster after the other, row by row, each at its word 0 and once. What it
        writes or reads is a word of the cluster that it addressed last; it goes on to the next
        one after as many words as the image's header says or, in a save, as the memory has.
    P3-WORDS
        The n-th word that it writes is the n-th word of the plaintext that GCM gives, for any n.
    P6-ALL
        A load is OK only if all clusters of the rectangle were addressed, and the last one was
        filled, as those before it were by P3-ORDER.

    Assumed: the rectangle is not empty, and in the mesh (``monitor-hands``, P3-MESH).
    """

    more: ClassVar[dict[str, int]] = {"nth": 11}
    nth: Any
    copy: LoaderCopy

    def __init__(self, wish: Wish = Wish.LOAD, *, size: int = 1) -> None:
        super().__init__(copies=1, wish=wish, config=CONFIG, size=size)

    def elaborate(self, platform: object) -> Module:
        """Remember the rectangle, and what was said."""
        m = Module()
        self.copy = copy = self._copy(m, 0)
        self.helpful.append((self.nth, Const(5, 11)))
        dut, r = copy.dut, copy.registers
        box = [Signal(len(port), name=f"box_{n}") for n, port in enumerate(_rectangle(dut))]
        nth = Signal(11)
        with m.If(~dut.busy):
            m.d.sync += [kept.eq(port) for kept, port in zip(box, _rectangle(dut), strict=True)]
            m.d.sync += nth.eq(self.nth)
        area = Signal(range(CONFIG.clusters + 1))
        _, _, width, height = box
        m.d.comb += [
            area.eq(width[:2] * height[:2]),
            Assume(~(dut.start & ~dut.busy) | _in_mesh(*_rectangle(dut)), "in the mesh"),
            Assert(~dut.busy | _in_mesh(*box), "lemma: rectangle"),
            Assert(
                ~dut.busy | (Cat(r[name] for name in ("x", "y", "width", "height")) == Cat(box)),
                "lemma: rectangle",
            ),
        ]
        said = self._lane(m, copy, box, area)
        word = self._words(m, copy, said, nth)
        for name, lemma in lemmas(m, copy, box=box, area=area, said=said, nth=nth, word=word):
            m.d.comb += Assert(lemma, f"lemma: {name}")
        return m

    def _lane(self, m: Module, copy: LoaderCopy, box: list[Signal], area: Signal) -> Said:
        """Claim what commands are like; return what was said."""
        dut, r = copy.dut, copy.registers
        save = r["save"]
        command = dut.lane.command
        shape = lane_command(CONFIG)
        cluster = Signal(shape["cluster"].width)
        was = Said(*(Signal(width, name=f"said_{n}") for n, width in enumerate((1, 3, 10, 3, 11))))
        limit = Signal(9)  # words of a cluster
        m.d.comb += limit.eq(
            Mux(save, CONFIG.memory_words, r["check.cluster_bytes"].shift_right(2))
        )
        kinds = [("port", command.valid, command.payload)]
        for part in ("writer", "reader"):
            payload = data.View(shape, r[f"{part}.lane__command__payload"])
            kinds.append((part, r[f"{part}.lane__command__valid"], payload))
        for name, valid, payload in kinds:
            addresses = payload.op == LaneOp.ADDRESS
            allowed = LaneOp.READ if name == "reader" else LaneOp.WRITE
            places = payload.op == allowed
            if name == "port":
                places = Mux(save, payload.op == LaneOp.READ, payload.op == LaneOp.WRITE)
            first = ~was.any & (payload.cluster == _cluster(box))
            follows = (was.since == limit) & (payload.cluster > was.cluster)
            begins = (payload.data == 0) & (first | (was.any & follows))
            goes_on = was.any & (payload.cluster == was.cluster) & (was.since < limit)
            words = [
                ("INSIDE", payload.named & _inside(payload.cluster, box)),
                ("ORDER", addresses | places),
                ("ORDER", ~addresses | begins),
                ("ORDER", ~places | goes_on),
            ]
            for claim, holds in words:
                text = f"P3-{claim}" if name == "port" else f"lemma: {name}'s command"
                m.d.comb += Assert(~valid | holds, text)
        addresses = command.payload.op == LaneOp.ADDRESS
        m.d.comb += cluster.eq(command.payload.cluster)
        after = Said(
            any=was.any | command.valid,
            cluster=Mux(command.valid, cluster, was.cluster),
            since=Mux(command.valid & addresses, 0, was.since + command.valid)[:10],
            visited=(was.visited + (command.valid & addresses))[:3],
            words=(was.words + (command.valid & ~addresses & ~save))[:11],
        )
        taken = command.valid & command.ready
        for kept, then in zip(was.all(), after.all(), strict=True):
            with m.If(dut.done):
                m.d.sync += kept.eq(0)
            with m.Elif(taken):
                m.d.sync += kept.eq(then)
        ok = dut.result == Result.OK
        filled = (was.visited == area) & (was.since == limit) & ~command.valid
        m.d.comb += [
            Assert(~ok | save | filled, "P6-ALL"),
            Assert(
                ~((r["phase"] == Phase.DRAIN) & (r["verdict"] == Result.OK)) | save | filled,
                "lemma: all",
            ),
            Assert(dut.busy | (Cat(was.all()) == 0), "lemma: nothing said"),
            Assert(~_within(r["phase"], FILLING) | (limit != 0), "lemma: limit"),
            Cover(ok & ~save & (area == 4), "a load of four clusters ends well"),
            Cover(command.valid & save & (was.since == 5), "a cluster is read"),
        ]
        return after

    def _words(self, m: Module, copy: LoaderCopy, said: Said, nth: Signal) -> Signal:
        """Claim that the n-th word is what was deciphered; return it."""
        dut, blocks = copy.dut, copy.process.writer.blocks
        given, word = Signal(11), Signal(32)
        plain = copy.gcm.sink.payload.data
        command = dut.lane.command
        writes = command.valid & (command.payload.op == LaneOp.WRITE)
        with m.If(dut.done):
            m.d.sync += given.eq(0)
        with m.Elif(blocks.valid & blocks.ready):
            m.d.sync += given.eq(given + 4)
            with m.If(given[2:] == nth[2:]):
                m.d.sync += word.eq(plain.word_select(nth[:2], 32))
        is_nth = writes & (said.words == (nth + 1)[:11])
        m.d.comb += [
            Assert(~is_nth | (command.payload.data == word), "P3-WORDS"),
            Assert(
                (given == (said.words + copy.registers["writer.left"])[:11])
                | (copy.registers["phase"] == Phase.DRAIN),
                "lemma: words",
            ),
            Assert(given[:2] == 0, "lemma: words"),
            Cover(is_nth & (nth == 5), "the sixth word is written"),
        ]
        return word


def _rectangle(dut: Any) -> tuple[Any, ...]:
    return dut.x, dut.y, dut.width, dut.height


def _in_mesh(x: Any, y: Any, width: Any, height: Any) -> Value:
    return (
        (width != 0) & (height != 0) & (x + width <= CONFIG.width) & (y + height <= CONFIG.height)
    )


def _inside(cluster: Any, box: list[Signal]) -> Value:
    """Return whether this cluster is one of the rectangle."""
    x, y, width, height = box
    return Cat(
        (cluster == n)
        & (x <= n % CONFIG.width)
        & (n % CONFIG.width < x + width)
        & (y <= n // CONFIG.width)
        & (n // CONFIG.width < y + height)
        for n in range(CONFIG.clusters)
    ).any()


def _cluster(box: list[Signal]) -> Value:
    """Return the first cluster of the rectangle."""
    x, y, _, _ = box
    return y[:1] * CONFIG.width + x[:2]


def _within(phase: Signal, phases: tuple[Phase, ...]) -> Value:
    return Cat(phase == one for one in phases).any()
