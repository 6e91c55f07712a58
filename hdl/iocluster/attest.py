# SPDX-License-Identifier: Apache-2.0
"""Attestation channel: a VM gives a verifier's nonce and reads a report about itself."""

from typing import Any

from amaranth import Cat, Elaboratable, Module, ResetInserter, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.abi import REPORT_WORDS, ChannelKind
from blindvisor.hdl.iocluster.channel import ChannelEnd, ChannelPort
from blindvisor.hdl.loader.report import ReportPort

__all__ = ["NONCE_WORDS", "AttestChannel"]

NONCE_WORDS = 8
"""Words of a nonce."""


class _Phase(enum.Enum, shape=2):
    NONCE = 0  # takes words
    REPORT = 1  # the loader makes the report
    READ = 2  # gives words


class AttestChannel(wiring.Component):
    """Takes 8 words, asks the loader for a report, gives 36 words, and begins anew.

    Members
    -------
    guest : :py:`Out(ChannelPort())`
        The owner's end. A clear drops nonce and report, and cancels one that is being made.
    vm : :py:`In(8)`
        The channel's owner, from the guard's table. Changes only after a cycle with ``clear``.
    report : :py:`Out(ReportPort())`
        The loader. A word is taken each cycle, so a report holds the loader for no longer than the
        loader needs, whether the owner reads it or not (P12).

    Notes
    -----
    P10: words are readable only once all 36 of a report that began after the last clear are there,
    so what a former owner's report left in the buffer cannot be read.
    """

    guest: Any
    vm: Signal
    report: Any

    def __init__(self) -> None:
        super().__init__({"guest": Out(ChannelPort()), "vm": In(8), "report": Out(ReportPort())})

    def elaborate(self, platform: object) -> Elaboratable:
        """Put a shift register for the nonce and a buffer for the report behind the end."""
        m = Module()
        m.submodules.end = end = ChannelEnd(width=32, kind=ChannelKind.ATTEST)
        m.submodules.words = memory = Memory(shape=32, depth=REPORT_WORDS, init=[])
        write = memory.write_port()
        read = memory.read_port(domain="comb")
        phase = Signal(_Phase)
        place = Signal(range(REPORT_WORDS))  # of the word that is next, whatever the phase
        nonce = Signal(256)
        words = self.report.words

        connect(m, end.port, flipped(self.guest))
        m.d.comb += [
            self.report.valid.eq(phase == _Phase.REPORT),
            self.report.vm.eq(self.vm),
            self.report.nonce.eq(nonce),
            self.report.cancel.eq(self.guest.clear),
            end.leaving.ready.eq(phase == _Phase.NONCE),
            words.ready.eq(phase == _Phase.REPORT),
            end.arriving.valid.eq(phase == _Phase.READ),
            end.arriving.payload.eq(read.data),
            read.addr.eq(place),
            write.addr.eq(place),
            write.data.eq(words.payload),
            write.en.eq(words.valid & words.ready),
        ]
        for now, stream, count, after in (
            (_Phase.NONCE, end.leaving, NONCE_WORDS, _Phase.REPORT),
            (_Phase.REPORT, words, REPORT_WORDS, _Phase.READ),
            (_Phase.READ, end.arriving, REPORT_WORDS, _Phase.NONCE),
        ):
            with m.If((phase == now) & stream.valid & stream.ready):
                m.d.sync += place.eq(place + 1)
                with m.If(place == count - 1):
                    m.d.sync += [place.eq(0), phase.eq(after)]
        with m.If(end.leaving.valid & end.leaving.ready):
            m.d.sync += nonce.eq(Cat(nonce[32:], end.leaving.payload))
        return ResetInserter(self.guest.clear)(m)
