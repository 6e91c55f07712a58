# SPDX-License-Identifier: Apache-2.0
"""Attestation reports: what was launched, on which machine, for whose nonce.

Format: docs/image.md, "Measurement and report". Byte *n* of a block is bits ``[8n+7:8n]``.
"""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.loader.kdf import KdfLabel
from blindvisor.hdl.loader.records import ATTRIBUTES, RecordBlock

__all__ = ["REPORT_MAGIC", "REPORT_VERSION", "ReportPort", "Reporter"]

REPORT_MAGIC = b"BVREPORT"
REPORT_VERSION = 1

_HEAD = REPORT_MAGIC + REPORT_VERSION.to_bytes(2, "little")


class ReportPort(wiring.Signature):
    """How a channel asks the loader for a report, seen from the channel.

    Members
    -------
    valid : :py:`Out(1)`
        A report is wanted; held, with ``vm`` and ``nonce``, until the last word is taken or
        ``cancel``.
    vm, nonce : :py:`Out(8)`, :py:`Out(256)`
        Slot of the VM that asks (the channel's owner); the verifier's nonce.
    cancel : :py:`Out(1)`
        Gives up the report that is being made; nothing of it is offered afterwards.
    words : :py:`In(stream.Signature(32))`
        ``abi.REPORT_WORDS`` words, in order.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "vm": Out(8),
                "nonce": Out(256),
                "cancel": Out(1),
                "words": In(stream.Signature(32)),
            }
        )


class _Block(enum.Enum, shape=4):
    """The nine blocks of a report."""

    HEAD = 0
    VERSIONS = 1
    IDENTITY = 2
    MACHINE = 3
    MEASUREMENT_LOW = 4
    MEASUREMENT_HIGH = 5
    NONCE_LOW = 6
    NONCE_HIGH = 7
    MAC = 8


class _Phase(enum.Enum, shape=4):
    IDLE = 0
    FETCH = 1  # the block comes from where it is kept, or its making begins
    MACHINE = 2  # the machine's identity is derived
    HASH = 3
    SEND = 4
    DIGEST = 5
    KEY = 6  # the report key is derived
    SIGN = 7
    MAC = 8


class Reporter(wiring.Component):
    """Makes one report at a time, with the loader's key register, key derivation and hash.

    Members
    -------
    port : :py:`In(ReportPort())`
        Who wants one. The words are offered block by block while the report is made.
    begin : :py:`In(1)`
        The loader is idle and does not start anything in this cycle: a report may begin.
    busy : :py:`Out(1)`
        Key register, Kdf and Sha256 are the reporter's.
    finished : :py:`Out(1)`
        High for one cycle, the last one with ``busy``: the last word was taken, or ``cancel``.
        The loader resets its parts with it: keys, round keys, hash.
    key_root : :py:`Out(1)`
        The key register is to take the root key, before ``busy``.
    key_derived : :py:`Out(1)`
        What the Kdf gives now is for the key register. Without this it is not.
    kdf_start, kdf_mac, kdf_label : :py:`Out(1)`, :py:`Out(1)`, :py:`Out(KdfLabel)`
        For the Kdf, whose ``message`` is the digest.
    kdf_valid, kdf_half, kdf_done : :py:`In(1)`, :py:`In(128)`, :py:`In(1)`
        From it.
    hash : :py:`Out(stream.Signature(128))`, hash_finish : :py:`Out(1)`, hash_done : :py:`In(1)`
        Sha256, which is clear before ``busy``.
    record_block : :py:`Out(RecordBlock)`, record : :py:`In(128)`
        Record of the slot ``port.vm``; in the same cycle.

    Notes
    -----
    * Thirteen ciphers, three chunks of hash and 36 words long, whatever keys and contents are (P7).
      A user that takes a word each cycle holds the loader for fewer than 400 cycles (P12).
    * The only register here holds a block of the report: what the label MACHINE gives and the MAC
      come into it, the report key never does.
    """

    port: Any
    begin: Signal
    busy: Signal
    finished: Signal
    key_root: Signal
    key_derived: Signal
    kdf_start: Signal
    kdf_mac: Signal
    kdf_label: Signal
    kdf_valid: Signal
    kdf_half: Signal
    kdf_done: Signal
    hash: stream.Interface
    hash_finish: Signal
    hash_done: Signal
    record_block: Signal
    record: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "port": In(ReportPort()),
                "begin": In(1),
                "busy": Out(1),
                "finished": Out(1),
                "key_root": Out(1),
                "key_derived": Out(1),
                "kdf_start": Out(1),
                "kdf_mac": Out(1),
                "kdf_label": Out(KdfLabel),
                "kdf_valid": In(1),
                "kdf_half": In(128),
                "kdf_done": In(1),
                "hash": Out(stream.Signature(128)),
                "hash_finish": Out(1),
                "hash_done": In(1),
                "record_block": Out(RecordBlock),
                "record": In(128),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Fetch, hash and send block after block; the last one is the MAC."""
        m = Module()
        phase = Signal(_Phase)
        number = Signal(_Block)
        number_bits = number.as_value()
        block = Signal(128)
        word = Signal(2)
        fetched = self._fetch(m, number)
        words = self.port.words

        m.d.comb += [
            self.busy.eq(phase != _Phase.IDLE),
            self.kdf_label.eq(Mux(number == _Block.MAC, KdfLabel.ATTEST, KdfLabel.MACHINE)),
            self.kdf_mac.eq((phase == _Phase.SIGN) | (phase == _Phase.MAC)),
            self.key_derived.eq(phase == _Phase.KEY),
            self.hash.payload.eq(block),
            words.payload.eq(block[:32]),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                with m.If(self.begin & self.port.valid & ~self.port.cancel):
                    m.d.comb += self.key_root.eq(1)
                    m.d.sync += [number.eq(_Block.HEAD), phase.eq(_Phase.FETCH)]
            with m.Case(_Phase.FETCH):
                m.d.sync += [block.eq(fetched), phase.eq(_Phase.HASH)]
                with m.If(number == _Block.MACHINE):
                    m.d.comb += self.kdf_start.eq(1)
                    m.d.sync += phase.eq(_Phase.MACHINE)
                with m.If(number == _Block.MAC):
                    m.d.comb += self.hash_finish.eq(1)
                    m.d.sync += phase.eq(_Phase.DIGEST)
            with m.Case(_Phase.MACHINE):
                with m.If(self.kdf_done):
                    m.d.sync += phase.eq(_Phase.HASH)
                with m.Elif(self.kdf_valid):  # the first half
                    m.d.sync += block.eq(self.kdf_half)
            with m.Case(_Phase.HASH):
                m.d.comb += self.hash.valid.eq(1)
                with m.If(self.hash.ready):
                    m.d.sync += phase.eq(_Phase.SEND)
            with m.Case(_Phase.SEND):
                m.d.comb += words.valid.eq(1)
                with m.If(words.ready):
                    m.d.sync += [block.eq(block[32:]), word.eq(word + 1)]
                    with m.If(word == 3):
                        m.d.comb += self.finished.eq(number == _Block.MAC)
                        m.d.sync += [number.eq(number_bits + 1), phase.eq(_Phase.FETCH)]
            with m.Case(_Phase.DIGEST):
                with m.If(self.hash_done):
                    m.d.comb += self.kdf_start.eq(1)
                    m.d.sync += phase.eq(_Phase.KEY)
            with m.Case(_Phase.KEY):
                with m.If(self.kdf_done):  # the key register has both halves in the next cycle
                    m.d.sync += phase.eq(_Phase.SIGN)
            with m.Case(_Phase.SIGN):
                m.d.comb += self.kdf_start.eq(1)
                m.d.sync += phase.eq(_Phase.MAC)
            with m.Case(_Phase.MAC):
                with m.If(self.kdf_done):
                    m.d.sync += [block.eq(self.kdf_half), phase.eq(_Phase.SEND)]
            with m.Default():
                m.d.comb += self.finished.eq(1)

        with m.If(self.busy & self.port.cancel):
            m.d.comb += [self.finished.eq(1), words.valid.eq(0)]
        with m.If(self.finished):
            m.d.sync += [block.eq(0), word.eq(0), phase.eq(_Phase.IDLE)]
        return m

    def _fetch(self, m: Module, number: Any) -> Signal:
        """Return the block of this number, unless it has to be made."""
        fetched = Signal(128)
        attributes = Signal(ATTRIBUTES)
        m.d.comb += [attributes.eq(self.record), fetched.eq(self.record)]
        with m.Switch(number):
            with m.Case(_Block.HEAD):
                head = Const(int.from_bytes(_HEAD, "little"), 8 * len(_HEAD))
                shape = Cat(attributes.flags, attributes.width, attributes.height)
                m.d.comb += [
                    self.record_block.eq(RecordBlock.ATTRIBUTES),
                    fetched.eq(Cat(head, shape)),
                ]
            with m.Case(_Block.VERSIONS):
                versions = (attributes.cluster_bytes, attributes.version, attributes.generation)
                m.d.comb += [
                    self.record_block.eq(RecordBlock.ATTRIBUTES),
                    fetched.eq(Cat(versions)),
                ]
            with m.Case(_Block.IDENTITY):
                m.d.comb += self.record_block.eq(RecordBlock.IDENTITY)
            with m.Case(_Block.MEASUREMENT_LOW):
                m.d.comb += self.record_block.eq(RecordBlock.MEASUREMENT_LOW)
            with m.Case(_Block.MEASUREMENT_HIGH):
                m.d.comb += self.record_block.eq(RecordBlock.MEASUREMENT_HIGH)
            with m.Case(_Block.NONCE_LOW):
                m.d.comb += fetched.eq(self.port.nonce[:128])
            with m.Case(_Block.NONCE_HIGH):
                m.d.comb += fetched.eq(self.port.nonce[128:])
        return fetched
