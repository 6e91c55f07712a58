# SPDX-License-Identifier: Apache-2.0
"""Properties of the attestation channel, for every owner, every loader and every clear."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.abi import REPORT_WORDS, ChannelKind, ChannelRegister
from blindvisor.hdl.iocluster.attest import NONCE_WORDS, AttestChannel
from blindvisor.hdl.iocluster.channel import ACCESS
from blindvisor.verification.formal.inner import opened

__all__ = ["AttestSpec"]


class AttestSpec(wiring.Component):
    """Follows one word of the report, any one (``watched``), and the nonce's word of that number.

    Claims
    ------
    P10-WORD
        Word n that the owner reads is word n that the loader gave for the nonce that was written
        since the last clear, and is there only once the loader has given all.
    P10-NONCE
        The nonce that the loader sees while a report is wanted is what was written since the last
        clear; whatever it sees at other times is of nobody but the owner since then.
    P10-CLEAR
        A clear cancels in its cycle; after it the channel wants no report, and takes a nonce.
    P8-ANSWER
        STATUS tells whether a word can be read or written, ENABLE what was written to it since the
        last clear; DATA that has no word or takes none, and any other access, get an error. Without
        data that are meant to be read, and without an access, there are none.
    P11-ENABLED
        The interrupt follows from ENABLE and STATUS.
    P12-TAKEN
        While a report is wanted a word is taken in every cycle, whatever the owner does.
    INVARIANT
        What the induction rests on: the registers and the buffer inside are what is kept here.

    Assumed: ``watched`` is constant.
    """

    watched: Signal
    access: data.View
    clear: Signal
    vm: Signal
    given: data.View

    def __init__(self) -> None:
        self.dut = AttestChannel()
        super().__init__(
            {
                "watched": In(range(REPORT_WORDS)),
                "access": In(ACCESS),
                "clear": In(1),
                "vm": In(8),
                "given": In(data.StructLayout({"valid": 1, "word": 32})),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count what was written, given and read since the last clear; keep the watched words."""
        m = Module()
        dut = self.dut
        fragment, registers = opened(dut)
        m.submodules.dut = fragment
        words = next(part for part, name, _ in fragment.subfragments if name == "words")
        buffered = Signal(32)  # word `watched` of the buffer, through a read port of our own
        words.read_port(
            domain="comb", addr=self.watched, data=buffered, en=Const(1), transparent_for=()
        )
        guest, report = dut.guest, dut.report
        m.d.comb += [
            guest.access.eq(self.access),
            guest.clear.eq(self.clear),
            dut.vm.eq(self.vm),
            report.words.valid.eq(self.given.valid),
            report.words.payload.eq(self.given.word),
        ]
        started, was_watched = Signal(), Signal.like(self.watched)
        m.d.sync += [started.eq(1), was_watched.eq(self.watched)]
        m.d.comb += [
            Assume(~started | (self.watched == was_watched), "watched is constant"),
            Assume(self.watched < REPORT_WORDS, "watched is a word"),
        ]

        written = Signal(range(NONCE_WORDS + 1))
        got = Signal(range(REPORT_WORDS + 1))
        read = Signal(range(REPORT_WORDS + 1))
        word, nonce_word = Signal(32), Signal(32)
        wanted, whole = written == NONCE_WORDS, got == REPORT_WORDS
        on_data = self.access.valid & (self.access.register == ChannelRegister.DATA)
        with m.If(on_data & self.access.write & ~wanted):
            m.d.sync += written.eq(written + 1)
            with m.If(written == self.watched[:3]):
                m.d.sync += nonce_word.eq(self.access.data)
        with m.If(self.given.valid & wanted & ~whole):
            m.d.sync += got.eq(got + 1)
            with m.If(got == self.watched):
                m.d.sync += word.eq(self.given.word)
        with m.If(on_data & ~self.access.write & whole):
            m.d.sync += read.eq(read + 1)
            with m.If(read == REPORT_WORDS - 1):
                m.d.sync += [written.eq(0), got.eq(0), read.eq(0)]
        with m.If(self.clear):
            m.d.sync += [written.eq(0), got.eq(0), read.eq(0), word.eq(0), nonce_word.eq(0)]

        place = Mux(whole, read, Mux(wanted, got, written))
        m.d.comb += [
            Assert(registers["place"] == place, "INVARIANT"),
            Assert(registers["phase"] == Cat(wanted & ~whole, whole), "INVARIANT"),
            Assert((written <= NONCE_WORDS) & (got <= REPORT_WORDS), "INVARIANT"),
            Assert((read == 0) | (whole & (read < REPORT_WORDS)), "INVARIANT"),
            Assert((got == 0) | wanted, "INVARIANT"),
            Assert((got <= self.watched) | (buffered == word), "INVARIANT"),
        ]
        # The newest word of the nonce comes in at the top.
        number = self.watched[:3]
        held = registers["nonce"].word_select((NONCE_WORDS + number - written)[:3], 32)
        m.d.comb += Assert((written <= number) | (held == nonce_word), "INVARIANT")

        taken = Signal(256)  # all that was written, the newest word at the top
        with m.If(on_data & self.access.write & ~wanted):
            m.d.sync += taken.eq(Cat(taken[32:], self.access.data))
        with m.If(self.clear):
            m.d.sync += taken.eq(0)
        m.d.comb += Assert(report.nonce == taken, "P10-NONCE")

        answer = guest.answer
        with m.If(on_data & ~self.access.write & whole & (read == self.watched)):
            m.d.comb += Assert(answer.data == word, "P10-WORD")
        self._registers(m, registers["end.enable"], wanted=wanted, whole=whole)
        with m.If(report.valid):
            seen = report.nonce.word_select(number, 32)
            m.d.comb += Assert(seen == nonce_word, "P10-NONCE")
        m.d.comb += [
            Assert(report.valid == (wanted & ~whole), "P10-CLEAR"),
            Assert(report.cancel == self.clear, "P10-CLEAR"),
            Assert(report.vm == self.vm, "P10-NONCE: of the owner"),
            Assert(report.words.ready == report.valid, "P12-TAKEN"),
            Cover(self.clear & (got == 5), "a clear while a report is made"),
            Cover(on_data & ~self.access.write & whole & (read == self.watched), "read"),
        ]
        return m

    def _registers(self, m: Module, kept: Signal, *, wanted: Value, whole: Value) -> None:
        """Compare the answer to each access with what its register must say."""
        guest, access = self.dut.guest, self.access
        reads = access.valid & ~access.write
        good, data, enable = Signal(), Signal(32), Signal(2)
        states = Cat(whole, ~wanted)
        with m.Switch(access.register):
            with m.Case(ChannelRegister.STATUS):
                m.d.comb += good.eq(reads)
                with m.If(reads):
                    m.d.comb += data.eq(Cat(states, Const(0, 6), Const(ChannelKind.ATTEST.value)))
            with m.Case(ChannelRegister.DATA):
                m.d.comb += good.eq(Mux(access.write, ~wanted, whole))
            with m.Case(ChannelRegister.ENABLE):
                m.d.comb += good.eq(1)
                with m.If(reads):
                    m.d.comb += data.eq(enable)
                with m.If(access.valid & access.write):
                    m.d.sync += enable.eq(access.data)
        with m.If(self.clear):
            m.d.sync += enable.eq(0)
        word = reads & whole & (access.register == ChannelRegister.DATA)
        m.d.comb += [
            Assert(kept == enable, "INVARIANT"),
            Assert(guest.answer.error == (access.valid & ~good), "P8-ANSWER"),
            Assert(word | (guest.answer.data == data), "P8-ANSWER"),
            Assert(guest.interrupt == (enable & states).any(), "P11-ENABLED"),
            Cover(guest.interrupt & whole, "a report is told of"),
        ]
