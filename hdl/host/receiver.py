# SPDX-License-Identifier: Apache-2.0
"""Finds frames in the bytes of a UART."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.host.crc import CrcPort
from blindvisor.hdl.host.frames import CRC_RESIDUE, ESCAPE, ESCAPE_FLIP, SYNC

__all__ = ["FrameReceiver"]


class _Field(enum.Enum, shape=3):
    """What the next byte is."""

    NOTHING = 0  # of a frame: until SYNC
    TYPE = 1
    SEQUENCE = 2
    LENGTH = 3
    PAYLOAD = 4
    CRC = 5
    END = 6  # none: the CRC is being taken


class FrameReceiver(wiring.Component):
    """Puts a frame's payload into a memory and tells when it was whole.

    Members
    -------
    data, valid, error : :py:`In(8)`, :py:`In(1)`, :py:`In(1)`
        From the UART.
    enable : :py:`In(1)`
        While 0, bytes are ignored and a frame that has begun is forgotten.
    write, index, word : :py:`Out(1)`, :py:`Out(8)`, :py:`Out(32)`
        A word of the payload, to be kept at its place. It may belong to a frame that never gets
        whole.
    received : :py:`Out(1)`
        For one cycle: a frame was whole and its CRC right.
    type, sequence, length : :py:`Out(8)`
        Of that frame; steady from ``received`` until the next frame begins.

    crc : :py:`Out(CrcPort())`
        Used while ``enable`` is 1.

    Notes
    -----
    SYNC begins a frame, whatever was before. After a byte without a stop bit, and in what follows
    a frame, nothing is taken until SYNC.
    """

    data: Signal
    valid: Signal
    error: Signal
    enable: Signal
    write: Signal
    index: Signal
    word: Signal
    received: Signal
    type: Signal
    sequence: Signal
    length: Signal
    crc: Any

    def __init__(self) -> None:
        super().__init__(
            {
                "data": In(8),
                "valid": In(1),
                "error": In(1),
                "enable": In(1),
                "write": Out(1),
                "index": Out(8),
                "word": Out(32),
                "received": Out(1),
                "type": Out(8),
                "sequence": Out(8),
                "length": Out(8),
                "crc": Out(CrcPort()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Take bytes out of their escapes, then field by field."""
        m = Module()
        crc = self.crc
        escaped = Signal()
        byte = Signal(8)
        taken = Signal()
        place = Signal(2)  # of the next byte in its word
        m.d.comb += [
            byte.eq(self.data ^ (escaped << 5)),
            crc.data.eq(byte),
            crc.start.eq(taken),
        ]
        assert ESCAPE_FLIP == 1 << 5
        m.d.sync += self.write.eq(0)
        with m.If(self.write):
            m.d.sync += self.index.eq(self.index + 1)

        field = Signal(_Field)
        with m.If(taken):
            with m.Switch(field):
                with m.Case(_Field.TYPE):
                    m.d.sync += [self.type.eq(byte), field.eq(_Field.SEQUENCE)]
                with m.Case(_Field.SEQUENCE):
                    m.d.sync += [self.sequence.eq(byte), field.eq(_Field.LENGTH)]
                with m.Case(_Field.LENGTH):
                    m.d.sync += [self.length.eq(byte), self.index.eq(0), place.eq(0)]
                    m.d.sync += field.eq(_Field.PAYLOAD)
                    with m.If(byte == 0):
                        m.d.sync += field.eq(_Field.CRC)
                with m.Case(_Field.PAYLOAD):
                    m.d.sync += [self.word.eq(Cat(self.word[8:], byte)), place.eq(place + 1)]
                    with m.If(place == 3):
                        m.d.sync += self.write.eq(1)
                        with m.If(self.index + 1 == self.length):
                            m.d.sync += field.eq(_Field.CRC)
                with m.Case(_Field.CRC):
                    m.d.sync += place.eq(place + 1)
                    with m.If(place == 3):
                        m.d.sync += field.eq(_Field.END)
        with m.If((field == _Field.END) & ~crc.busy):
            m.d.comb += self.received.eq(crc.value == CRC_RESIDUE)
            m.d.sync += field.eq(_Field.NOTHING)

        with m.If(self.valid):
            m.d.sync += escaped.eq(self.data == ESCAPE)
            with m.If(self.data == SYNC):
                m.d.comb += crc.clear.eq(self.enable)
                m.d.sync += field.eq(_Field.TYPE)
            with m.Elif(self.data != ESCAPE):
                m.d.comb += taken.eq(field != _Field.NOTHING)
        with m.If(self.error | ~self.enable):
            m.d.sync += [escaped.eq(0), field.eq(_Field.NOTHING)]
        return m
