# SPDX-License-Identifier: Apache-2.0
"""Two copies of the loader that differ in all that is secret."""

from typing import Any

from amaranth import Cat, Module, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data

from blindvisor.hdl.abi import Result
from blindvisor.hdl.ionet.flits import LaneOp, lane_command
from blindvisor.hdl.loader.header import HEADER_BLOCKS, block_of
from blindvisor.hdl.loader.process import Phase
from blindvisor.hdl.loader.report import _Block as ReportBlock  # pyright: ignore[reportPrivateUsage]
from blindvisor.verification.formal.loader_environment import (
    CONFIG,
    LoaderCopy,
    LoaderEnvironment,
    Wish,
    given_away,
)

__all__ = ["LoaderPairSpec"]

SECRET = {
    "key",
    "first_half",
    "aes.result",
    "kdf.subkey",
    "gcm.key",
    "gcm.mask",
    "gcm.waiting",
    "reader.block",
    "writer.words",
    "writer.lane__command__payload",
}
"""Registers that may differ: keys, keystream, plaintext, and what is made of them."""

IDENTITY = block_of("identity")
KEPT = (
    *(phase for phase in Phase if Phase.CHECK.value <= phase.value <= Phase.RECORD.value),
    Phase.READ,
    Phase.COUNT,
    Phase.TAG,
    Phase.FLUSH,
)
"""Phases in which the whole header is there; power-on leaves anything in its memory."""
LOOKING = (
    Phase.DERIVE,
    Phase.DERIVING,
    Phase.OPEN_KEY,
    Phase.OPEN_CONTENTS,
    Phase.AUTHENTICATE,
    Phase.RECORD,
)
"""Phases in which what is read of the header's memory counts."""
SEARCHING = (Phase.LOOK_UP, Phase.FIND, Phase.COMMIT, Phase.COUNT)
"""Phases in which rows of the store are read; then, in which one is written."""


class LoaderPairSpec(LoaderEnvironment):
    """Both copies get the same orders and answers, and other keys, keystreams and memories.

    Claims
    ------
    P7-EQUAL
        All that leaves the loader is equal in both copies in every cycle, except the data of WRITE
        commands, until one copy's tag matches and the other's does not.

    Assumed: what is made of secrets to be given away is equal in both copies. It is the ciphertext
    and the tag of a save, the digest of the contents, the machine's identity and the MAC of a
    report; that each is what it is called, ``loader-ciphers`` proves. So words of a saved image and
    of a report may depend on secrets through these alone.
    Assumed besides: records are the same at power-on.

    The lemmas say that all registers but those in ``SECRET`` are equal until then.
    """

    def __init__(self, wish: Wish = Wish.LOAD) -> None:
        super().__init__(copies=2, wish=wish)

    def elaborate(self, platform: object) -> Module:
        """Feed both copies and compare them."""
        m = Module()
        a, b = self._copy(m, 0), self._copy(m, 1)
        phase = a.registers["phase"]
        judging = _within(phase, (Phase.UNWRAP, Phase.WRITE))
        differed = Signal()  # one tag matched and the other did not
        with m.If(a.gcm.done & judging & (a.gcm.match != b.gcm.match)):
            m.d.sync += differed.eq(1)
        self._give_away(m, a, b)
        left, right = a.dut.lane.command, b.dut.lane.command
        writes = left.valid & (left.payload.op == LaneOp.WRITE)
        with m.If(~differed):
            m.d.comb += [
                Assert(_seen(a.dut) == _seen(b.dut), "P7-EQUAL"),
                Assert(
                    writes | ~left.valid | (left.payload.data == right.payload.data), "P7-EQUAL"
                ),
                *(
                    Assert(a.registers[name] == b.registers[name], f"lemma: {name}")
                    for name in sorted(a.registers.keys() - SECRET)
                ),
                *(
                    Assert(one == other, "lemma: records")
                    for one, other in zip(a.records, b.records, strict=True)
                ),
            ]
            self._lemmas(m, a, b)
        data_differs = left.payload.data != right.payload.data
        ends_well, save = a.dut.result == Result.OK, a.registers["save"]
        reads = left.valid & (left.payload.op == LaneOp.READ)
        memories_differ = self.lane_replies & (self.memory[0] != self.memory[1])
        reading = a.registers["phase"] == Phase.READ
        signing = a.registers["reporter.number"] == ReportBlock.MAC.value
        m.d.comb += [
            Cover(~differed & writes & data_differs, "what is written differs"),
            Cover(~differed & ends_well & ~save, "a load ends well in both copies"),
            Cover(~differed & memories_differ & reads & reading, "what is read differs"),
            Cover(~differed & reading & a.dut.saved.valid, "ciphertext is given out"),
            Cover(~differed & ends_well & save, "a save ends well in both copies"),
            Cover(~differed & a.dut.report.words.valid & signing, "the MAC of a report is given"),
        ]
        return m

    def _give_away(self, m: Module, a: LoaderCopy, b: LoaderCopy) -> None:
        """Assume that what may be seen is equal."""
        given = given_away(a)
        made = given["identity"] | given["MAC"]
        started = Signal()
        m.d.sync += started.eq(1)
        m.d.comb += [
            Assume(
                ~given["ciphertext"] | (a.gcm.sink.payload.data == b.gcm.sink.payload.data),
                "ciphertext",
            ),
            Assume(~given["tag"] | (a.gcm.tag == b.gcm.tag), "tag"),
            Assume(~made | (a.kdf.half == b.kdf.half), "identity and MAC"),
            *(
                Assume(started | (one == other), "records at power-on")
                for one, other in zip(a.records, b.records, strict=True)
            ),
        ]

    def _lemmas(self, m: Module, a: LoaderCopy, b: LoaderCopy) -> None:
        """What is in the header's memory, and what the writer offers to the lane."""
        left, right = (
            data.View(lane_command(CONFIG), copy.registers["writer.lane__command__payload"])
            for copy in (a, b)
        )
        phase, index = a.registers["phase"], a.registers["index"]
        asking = a.registers["versions.phase"]  # from 3 on it writes
        searching = asking != 0
        nothing = ~(
            a.registers["versions.found"]
            | (a.registers["check.security_version"] != 0)
            | a.registers["check.flags"][0]
        )
        filling = _within(phase, (Phase.HEADER, Phase.MAKE))
        begun = _within(phase, (*SEARCHING, Phase.NUMBER)) | searching
        for n, (one, other) in enumerate(zip(a.header, b.header, strict=True)):
            there = _within(phase, KEPT) | (filling & (n < index))
            if n == IDENTITY:
                there |= searching | (phase == Phase.FIND)
            m.d.comb += Assert((one == other) | ~there, "lemma: header")
        m.d.comb += [
            Assert((phase != Phase.LENGTH) | (index == 0), "lemma: index"),
            Assert(~begun | (index == IDENTITY), "lemma: index"),
            Assert(~_within(phase, LOOKING) | (index < HEADER_BLOCKS), "lemma: index"),
            Assert(~searching | _within(phase, (*SEARCHING, Phase.DRAIN)), "lemma: searches"),
            Assert(~(searching & a.registers["versions.done"]), "lemma: searches"),
            Assert(~_within(phase, SEARCHING[:2]) | (asking <= 2), "lemma: searches"),
            Assert(~_within(phase, SEARCHING[2:]) | (asking == 0) | (asking > 2), "lemma: writes"),
            Assert(~(searching & (phase == Phase.COMMIT) & nothing), "lemma: writes"),
            Assert(
                Cat(left.op, left.named, left.cluster) == Cat(right.op, right.named, right.cluster),
                "lemma: commands",
            ),
            Assert(
                (left.op == LaneOp.WRITE) | (left.data == right.data),
                "lemma: commands",
            ),
        ]


def _within(phase: Signal, phases: tuple[Phase, ...]) -> Value:
    return Cat(phase == one for one in phases).any()


def _seen(dut: Any) -> Any:
    """All that leaves the loader, the data of lane commands excepted."""
    command = dut.lane.command
    named = Cat(command.payload.op, command.payload.named, command.payload.cluster)
    return Cat(
        Cat(dut.busy, dut.done, dut.result, dut.resumed, dut.staging.ready),
        Cat(command.valid, named),
        Cat(dut.saved.valid, dut.saved.payload),
        Cat(dut.store.request.valid, dut.store.request.payload),
        Cat(dut.report.words.valid, dut.report.words.payload),
    )
