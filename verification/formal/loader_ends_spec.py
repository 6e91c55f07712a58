# SPDX-License-Identifier: Apache-2.0
"""A load or save comes to its end, if all that it waits for comes."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover

from blindvisor.hdl.abi import Result
from blindvisor.hdl.loader.process import Phase
from blindvisor.hdl.loader.report import _Phase as Report  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.versions import _Phase as Search  # pyright: ignore[reportPrivateUsage]
from blindvisor.verification.formal.loader_environment import LoaderCopy
from blindvisor.verification.formal.loader_place_lemmas import ASKED
from blindvisor.verification.formal.loader_place_spec import CONFIG, LoaderPlaceSpec

__all__ = ["LoaderEndsSpec"]

ORDER = (
    (Phase.DRAIN,),
    (Phase.FLUSH,),
    (Phase.RECORD, Phase.TAG),
    (Phase.COMMIT, Phase.COUNT),
    (Phase.WRITE, Phase.READ),
    (Phase.AUTHENTICATE,),
    (Phase.OPEN_CONTENTS,),
    (Phase.LOOK_UP,),
    (Phase.UNWRAP,),
    (Phase.OPEN_KEY,),
    (Phase.DERIVING,),
    (Phase.DERIVE,),
    (Phase.CHECK, Phase.MAKE),
    (Phase.HEADER, Phase.FIND),
    (Phase.LENGTH, Phase.NUMBER),
)
"""From the last to the first."""
BEFORE = (
    *(Phase.IDLE, Phase.LENGTH, Phase.NUMBER, Phase.HEADER, Phase.CHECK),
    *(Phase.OPEN_KEY, Phase.UNWRAP),
)
"""Phases before a search of the store; of loads, besides, those of the derivation."""
KDF_STEPS = ((0, 1, 5), (0, 2, 4), (0, 3, 3), (1, 2, 2), (1, 3, 1))
"""``last`` and phase of the key derivation, and the ciphers that it then waits for."""


class LoaderEndsSpec(LoaderPlaceSpec):
    """A number that says how much is left to do.

    Claims
    ------
    P8-FORWARD
        While a load or save runs, this number never grows. It gets smaller in every cycle in which
        nobody outside owes the loader something: a word of the image, the taking of a word of a
        saved image or of a command, a reply, the store's answer, a result of cipher or hash.
    P8-ONCE
        Nobody outside is asked for something without the number getting smaller.

    So if all of these answer within some time, the load or save ends within that time, taken as
    often as the number says at the start.

    Assumed besides: the lane replies to commands alone.

    Besides, it has all claims, lemmas and assumptions of its parent.
    """

    def elaborate(self, platform: object) -> Module:
        """Compare the number with that of the cycle before."""
        m = super().elaborate(platform)
        copy, dut = self.copy, self.copy.dut
        r = copy.registers
        request, command = dut.store.request, dut.lane.command
        left, was = Signal(49), Signal(49)
        sent, asked = command.valid & command.ready, request.valid & request.ready
        owed, pending = Signal(8), Signal()
        m.d.sync += owed.eq(owed + sent - self.lane_replies)
        with m.If(asked):
            m.d.sync += pending.eq(1)
        with m.Elif(self.store_valid):
            m.d.sync += pending.eq(0)
        waits = Cat(
            ~copy.gcm.cipher.ready,
            ~copy.hash.ready,
            (r["phase"] == Phase.WRITE) & copy.gcm.sink.valid & ~self.sha_takes,
            (r["phase"] == Phase.RECORD) & ~self.sha_ends & ~r["digested"],
            dut.staging.ready & ~dut.staging.valid,
            dut.saved.valid & ~dut.saved.ready,
            command.valid & ~command.ready,
            (owed != 0) & ~self.lane_replies,
            request.valid & ~request.ready,
            pending & ~self.store_valid,
        ).any()
        asks = Cat(copy.aes.user.start, copy.hash.valid & copy.hash.ready, sent, asked).any()
        ran, waited, asking = Signal(), Signal(), Signal()
        m.d.sync += [ran.eq(dut.busy), waited.eq(waits), asking.eq(asks), was.eq(left)]
        runs = ran & dut.busy
        m.d.comb += [
            left.eq(_left(copy)),
            Assume(~self.lane_replies | (owed != 0), "replies are owed"),
            Assert(~runs | (left <= was), "P8-FORWARD"),
            Assert(~runs | (left < was) | waited, "P8-FORWARD"),
            Assert(~runs | (left < was) | ~asking, "P8-ONCE"),
            Cover((dut.result == Result.OK) & r["save"], "a save ends well"),
        ]
        looking = _any(r["versions.phase"], Search.READ, Search.WRITE)
        reads = r[ASKED] - r["reader.answered"] + r["reader.addressing"]
        on_its_way = reads - r["reader.lane__command__valid"]
        for name, lemma in (
            ("owed", owed == (r["writer.unanswered"] + on_its_way)[:8]),
            ("owed", r["reader.lane__command__valid"] <= reads),
            ("owed", r["writer.unanswered"] + r["writer.lane__command__valid"] <= 127),
            ("owed", ~r["save"] | copy.process.writer.idle),
            ("owed", r["save"] | copy.process.reader.idle),
            ("asked", pending == looking),
            *_known(copy),
        ):
            m.d.comb += Assert(lemma, f"lemma: {name}")
        return m


def _left(copy: LoaderCopy) -> Value:
    """Return how much is left to do: phases, then what the phase counts, then all else."""
    r = copy.registers
    phase, index, left, count = r["phase"], r["index"], r["blocks_left"], r["gather.count"]
    rank = sum((Mux(_any(phase, *of), n + 1, 0) for n, of in enumerate(ORDER)), start=Value.cast(0))
    words = (left << 3) + Mux(count == 4, 5, 4 - count)
    search = r["versions.phase"]
    rows = CONFIG.store_rows + 1 - r["versions.index"]
    looks = Mux(
        search == 0,
        Mux(r["versions.done"], 0, (CONFIG.store_rows + 2) * 4),
        (rows * 4 + Mux(search == Search.ASK.value, 2, 1))[:8],
    )
    writes = Mux(_any(search, Search.COMMIT), 2, Mux(_any(search, Search.WRITE), 1, 3))
    drains = Mux(_any(search, Search.ASK, Search.COMMIT), 2, search != 0)
    counted = Signal(32, name="counted")
    for value, phases in (
        (r["times"], (Phase.LENGTH, Phase.NUMBER, Phase.CHECK)),
        (words, (Phase.HEADER, Phase.WRITE)),
        (15 - index, (Phase.MAKE, Phase.UNWRAP, Phase.AUTHENTICATE)),
        (looks, (Phase.LOOK_UP, Phase.FIND)),
        (Mux(r["versions.done"], 0, writes), (Phase.COMMIT, Phase.COUNT)),
        (5 - r["part"] - r["digested"], (Phase.RECORD,)),
        (left, (Phase.READ,)),
        (drains, (Phase.DRAIN,)),
    ):
        counted = counted | Mux(_any(phase, *phases), value.as_unsigned()[:32], 0)
    return Cat(_rest(copy)[:12], counted[:32], rank[:5])


def _rest(copy: LoaderCopy) -> Value:
    """Return what is left of ciphers, of words in the parts, and of commands and replies."""
    r = copy.registers
    writer = (r["writer.left"] << 3) + (r["writer.address_due"] << 2)
    reader = ((4 - r[ASKED])[:3] << 2) + (r["reader.address_due"] << 2)
    sent = (r["writer.lane__command__valid"] + r["reader.lane__command__valid"]) << 1
    replies = r["writer.unanswered"] + (r[ASKED] - r["reader.answered"])[:3]
    message = ((7 - r["gcm.phase"])[:3] << 2) + (r["gcm.first"] << 1) + (r["gcm.left"] == 0)
    derives = sum(
        (
            Mux((r["kdf.last"] == last) & (r["kdf.phase"] == phase), steps, 0)
            for last, phase, steps in KDF_STEPS
        ),
        start=Value.cast(0),
    )
    return (
        (writer + reader)
        + (sent + replies + r["reader.addressing"])
        + (message + derives + r["scatter.left"])
    )


def _known(copy: LoaderCopy) -> list[tuple[str, Value]]:
    """Return lemmas about parts that could leave the loader waiting for nothing."""
    r = copy.registers
    phase, index, search = r["phase"], r["index"], r["versions.phase"]
    kdf, message = r["kdf.phase"], r["gcm.phase"]
    opened = _any(phase, Phase.UNWRAP, Phase.AUTHENTICATE, Phase.WRITE)
    looks = _any(search, Search.ASK, Search.READ)
    nothing = ~(r["versions.found"] | (r["check.security_version"] != 0) | r["check.flags"][0])
    before = _any(phase, *BEFORE) | (~r["save"] & _any(phase, Phase.DERIVE, Phase.DERIVING))
    begins = _any(phase, Phase.LOOK_UP, Phase.FIND) & (search == 0) & ~r["versions.done"]
    return [
        ("derives", (phase != Phase.DERIVING) | (kdf != 0)),
        ("derives", _any(phase, Phase.DERIVING, Phase.DRAIN) | (kdf == 0) | (phase == Phase.IDLE)),
        (
            "derives",
            (phase != Phase.IDLE) | (r["reporter.phase"] != Report.IDLE.value) | (kdf == 0),
        ),
        ("derives", (phase == Phase.IDLE) | (kdf != 1) | ~r["kdf.last"]),
        ("message", ~opened | (message != 0)),
        ("message", ~_any(phase, Phase.READ, Phase.COUNT, Phase.TAG) | (message != 0)),
        ("message", ~_any(phase, Phase.READ, Phase.COUNT, Phase.WRITE) | (message >= 3)),
        ("index", (phase != Phase.UNWRAP) | (index <= 6)),
        ("index", ~_any(phase, Phase.MAKE, Phase.AUTHENTICATE) | (index < 10)),
        ("searches", search <= Search.WRITE.value),
        ("searches", (search == 0) | (phase != Phase.RECORD)),
        ("searches", (search == 0) | (phase != Phase.COMMIT) | ~nothing),
        ("words", r["scatter.left"] <= 4),
        ("searches", ~(before | begins) | (r["versions.index"] == 0)),
        ("searches", ~looks | (r["versions.index"] < CONFIG.store_rows)),
        ("searches", ~_any(phase, Phase.LOOK_UP, Phase.FIND) | looks | (search == 0)),
        ("searches", ~_any(phase, Phase.COMMIT, Phase.COUNT) | ~looks),
    ]


def _any(value: Value, *these: Phase | Search) -> Value:
    return Cat(value == one.value for one in these).any()
