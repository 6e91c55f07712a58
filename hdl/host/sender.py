# SPDX-License-Identifier: Apache-2.0
"""Makes the bytes of a frame for a UART."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.host.crc import CrcPort
from blindvisor.hdl.host.frames import ESCAPE, ESCAPE_FLIP, SYNC

__all__ = ["FrameSender"]


class FrameSender(wiring.Component):
    """Sends one frame, its payload out of a memory.

    Members
    -------
    start : :py:`In(1)`
        Begins. ``type``, ``sequence``, ``length`` and the payload must stay from here to the end.
    busy : :py:`Out(1)`
        From the cycle after ``start`` until the last byte was handed to the UART.
    type, sequence, length : :py:`In(8)`
        Of the frame; ``length`` in words.
    index, word : :py:`Out(8)`, :py:`In(32)`
        The word that is sent, and what the memory has there, a cycle later.
    bytes : :py:`Out(stream.Signature(8))`
        To the UART.
    crc : :py:`Out(CrcPort())`
        Used while ``busy``.
    """

    start: Signal
    busy: Signal
    type: Signal
    sequence: Signal
    length: Signal
    index: Signal
    word: Signal
    bytes: stream.Interface
    crc: Any

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "type": In(8),
                "sequence": In(8),
                "length": In(8),
                "index": Out(8),
                "word": In(32),
                "bytes": Out(stream.Signature(8)),
                "crc": Out(CrcPort()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Choose a byte, put it into the CRC, escape it if need be, hand it over; next."""
        m = Module()
        crc = self.crc
        byte = Signal(8)  # before it is escaped
        place = Signal(2)  # in its word
        special = Signal()
        escaped = Signal()  # the escape has been sent
        sent = Signal()
        m.d.comb += [
            self.busy.eq(1),
            special.eq((byte == SYNC) | (byte == ESCAPE)),
            crc.data.eq(byte),
        ]

        with m.FSM(name="field") as field:
            with m.State("IDLE"):
                m.d.comb += self.busy.eq(0)
                with m.If(self.start):
                    m.next = "SYNC"
            with m.State("SYNC"):
                m.d.comb += [self.bytes.payload.eq(SYNC), self.bytes.valid.eq(1), crc.clear.eq(1)]
                with m.If(self.bytes.ready):
                    m.d.sync += [self.index.eq(0), place.eq(0)]
                    m.next = "TYPE"
            with m.State("TYPE"):
                m.d.comb += byte.eq(self.type)
                with m.If(sent):
                    m.next = "SEQUENCE"
            with m.State("SEQUENCE"):
                m.d.comb += byte.eq(self.sequence)
                with m.If(sent):
                    m.next = "LENGTH"
            with m.State("LENGTH"):
                m.d.comb += byte.eq(self.length)
                with m.If(sent):
                    m.next = "PAYLOAD"
                    with m.If(self.length == 0):
                        m.next = "CRC"
            with m.State("PAYLOAD"):
                m.d.comb += byte.eq(self.word.word_select(place, 8))
                with m.If(sent):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == 3):
                        m.d.sync += self.index.eq(self.index + 1)
                        with m.If(self.index + 1 == self.length):
                            m.next = "CRC"
            with m.State("CRC"):
                # The register's own low byte: its feedback is then 0, and the next one comes down.
                m.d.comb += byte.eq(~crc.value[:8])
                m.d.comb += crc.data.eq(crc.value[:8])
                with m.If(sent):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == 3):
                        m.next = "IDLE"

        with m.If(~field.ongoing("IDLE") & ~field.ongoing("SYNC")):
            m.d.comb += [
                # A step of the CRC is much shorter than a byte of the UART.
                self.bytes.valid.eq(~crc.busy),
                self.bytes.payload.eq(byte),
            ]
            with m.If(special & ~escaped):
                m.d.comb += self.bytes.payload.eq(ESCAPE)
            with m.Elif(special):
                m.d.comb += self.bytes.payload.eq(byte ^ ESCAPE_FLIP)
            with m.If(self.bytes.valid & self.bytes.ready):
                m.d.sync += escaped.eq(special & ~escaped)
                m.d.comb += [sent.eq(~special | escaped), crc.start.eq(sent)]
        return m
