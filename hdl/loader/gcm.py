# SPDX-License-Identifier: Apache-2.0
"""Galois/Counter Mode (SP 800-38D) with 96-bit nonces around a cipher and GHASH.

Byte *n* of a block is bits ``[8n+7:8n]``.
"""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.loader.aes import CipherUser
from blindvisor.hdl.loader.ghash import Ghash, hash_cycles

__all__ = ["GCM_INPUT", "GCM_OUTPUT", "BlockKind", "Gcm"]


class BlockKind(enum.Enum, shape=2):
    """What a block of a message is."""

    NONE = 0  # taken and dropped
    AAD = 1
    TEXT = 2  # ciphertext or plaintext
    TAG = 3  # ends the message


GCM_INPUT = data.StructLayout({"data": 128, "count": 5, "kind": BlockKind})
"""``count``: bytes of ``data`` that belong to the message, 1 to 16; the others are ignored. A TAG
has 16."""

GCM_OUTPUT = data.StructLayout({"data": 128, "count": 5})
"""Bytes from ``count`` on are zero."""


class Gcm(wiring.Component):
    """Enciphers or deciphers messages and makes or checks their tags.

    A message is all AAD, then all text, then one TAG; any of the first two may be missing. Only the
    last block of AAD and the last of text may have fewer than 16 bytes.

    Parameters
    ----------
    lanes : :class:`int`
        Blocks that the cipher works on at once.
    digit : :class:`int`
        Digit width of :class:`Ghash`.

    Members
    -------
    start : :py:`In(1)`
        Begins a message with ``nonce`` and ``decrypt``; a message that was not finished is given
        up.
    nonce : :py:`In(96)`
        Sampled with ``start``. Never twice with the same key when enciphering.
    decrypt : :py:`In(1)`
        Sampled with ``start``.
    source : :py:`In(stream.Signature(GCM_INPUT))`
        The message. Nothing is taken before ``start`` or after the TAG.
    sink : :py:`Out(stream.Signature(GCM_OUTPUT))`
        One block of text per block of text, in the same cycle. **When deciphering it is not
        authenticated until ``done`` comes with ``match``.**
    done : :py:`Out(1)`
        High for the one cycle in which the TAG is taken; ``tag`` and ``match`` are valid then.
    tag : :py:`Out(128)`
        Tag of the message.
    match : :py:`Out(1)`
        ``tag`` is what the TAG block holds, compared in one cycle.
    cipher : :py:`Out(CipherUser(lanes))`
        AES with the message's key, which must not change from ``start`` to ``done``.

    Notes
    -----
    Keystream is made ahead of the text. The cycles depend on lengths and handshakes alone, never on
    key or data (P7). Lengths: at most 2**32 - 1 bytes of AAD and as many of text.

    Source: NIST SP 800-38D, sections 7.1 and 7.2.
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    start: Signal
    nonce: Signal
    decrypt: Signal
    source: stream.Interface
    sink: stream.Interface
    done: Signal
    tag: Signal
    match: Signal
    cipher: Any

    def __init__(self, *, lanes: int, digit: int = 16) -> None:
        hash_cycles(digit)  # refuses a wrong one
        self.lanes = lanes
        self.digit = digit
        super().__init__(
            {
                "start": In(1),
                "nonce": In(96),
                "decrypt": In(1),
                "source": In(stream.Signature(GCM_INPUT)),
                "sink": Out(stream.Signature(GCM_OUTPUT)),
                "done": Out(1),
                "tag": Out(128),
                "match": Out(1),
                "cipher": Out(CipherUser(lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Counter blocks into the cipher on one side, the message through GHASH on the other."""
        m = Module()
        m.submodules.ghash = ghash = Ghash(digit=self.digit)
        phase = Signal(_Phase)
        key = Signal(128)
        mask = Signal(128)  # E(J0); then the tag
        stream_block, available, take = self._keystream(m, active=phase != _Phase.IDLE)
        decrypt = Signal()
        lengths = Signal(data.StructLayout({"aad": 32, "text": 32}))

        given = self.source.payload
        keep = Cat((given.count > n).replicate(8) for n in range(16))
        text = Signal(128)
        taken = Signal(128)
        m.d.comb += [
            taken.eq(given.data & keep),
            text.eq((given.data ^ stream_block) & keep),
            self.sink.payload.eq(Cat(text, given.count)),
            ghash.key.eq(key),
            ghash.clear.eq(self.start),
            self.tag.eq(mask),
            self.match.eq(mask == given.data),
        ]

        with m.Switch(phase):
            with m.Case(_Phase.SUBKEY):  # step 1 of both algorithms
                m.d.comb += take.eq(available)
                with m.If(available):
                    m.d.sync += [key.eq(stream_block), phase.eq(_Phase.MASK)]
            with m.Case(_Phase.MASK):
                m.d.comb += take.eq(available)
                with m.If(available):
                    m.d.sync += [mask.eq(stream_block), phase.eq(_Phase.MESSAGE)]
            with m.Case(_Phase.MESSAGE):
                with m.Switch(given.kind):
                    with m.Case(BlockKind.NONE):
                        m.d.comb += self.source.ready.eq(1)
                    with m.Case(BlockKind.AAD):
                        m.d.comb += [
                            ghash.block.eq(taken),
                            ghash.valid.eq(self.source.valid),
                            self.source.ready.eq(ghash.ready),
                        ]
                        with m.If(self.source.valid & self.source.ready):
                            m.d.sync += lengths.aad.eq(lengths.aad + given.count)
                    with m.Case(BlockKind.TEXT):
                        m.d.comb += [
                            ghash.block.eq(Mux(decrypt, taken, text)),
                            ghash.valid.eq(self.source.valid & self.source.ready),
                            self.sink.valid.eq(self.source.valid & ghash.ready & available),
                            self.source.ready.eq(self.sink.ready & ghash.ready & available),
                            take.eq(self.source.valid & self.source.ready),
                        ]
                        with m.If(take):
                            m.d.sync += lengths.text.eq(lengths.text + given.count)
                    with m.Case(BlockKind.TAG):
                        m.d.comb += [
                            ghash.block.eq(_length_block(lengths)),
                            ghash.valid.eq(self.source.valid),
                        ]
                        with m.If(self.source.valid & ghash.ready):
                            m.d.sync += phase.eq(_Phase.HASH)
            with m.Case(_Phase.HASH):
                with m.If(ghash.ready):
                    m.d.sync += [mask.eq(mask ^ ghash.hash), phase.eq(_Phase.COMPARE)]
            with m.Case(_Phase.COMPARE):
                m.d.comb += [self.source.ready.eq(1), self.done.eq(self.source.valid)]
                with m.If(self.done):
                    m.d.sync += phase.eq(_Phase.IDLE)

        with m.If(self.start):
            m.d.sync += [
                phase.eq(_Phase.SUBKEY),
                decrypt.eq(self.decrypt),
                lengths.eq(0),
            ]
        return m

    def _keystream(self, m: Module, *, active: Value) -> tuple[Signal, Signal, Signal]:
        """Encipher 0, then J0, J0 + 1 and so on; return the next block, its validity, its strobe.

        J0 is ``nonce || 1``; the block before it would be ``nonce || 0``, which GCM never uses: the
        all-zero block that gives the hash subkey takes its place.
        """
        nonce = Signal(96)
        counter = Signal(32)
        first = Signal()  # the next group is the first one
        waiting = Signal(data.ArrayLayout(128, self.lanes))
        left = Signal(range(self.lanes + 1))
        available = Signal()
        take = Signal()
        m.d.comb += available.eq(left != 0)

        for lane in range(self.lanes):
            number = Signal(32, name=f"number{lane}")
            m.d.comb += number.eq(counter + lane)
            block = Cat(nonce, *(number.word_select(n, 8) for n in reversed(range(4))))
            m.d.comb += self.cipher.blocks[lane].eq(Mux(first, 0, block) if lane == 0 else block)

        with m.If(take):
            m.d.sync += [left.eq(left - 1), waiting.eq(waiting.as_value()[128:])]
        with m.If(active & (first | (~available & self.cipher.ready))):
            m.d.comb += self.cipher.start.eq(1)
            m.d.sync += [first.eq(0), counter.eq(counter + self.lanes)]
            with m.If(~first):
                m.d.sync += [waiting.eq(self.cipher.results), left.eq(self.lanes)]
        with m.If(self.start):
            m.d.sync += [nonce.eq(self.nonce), counter.eq(0), first.eq(1), left.eq(0)]
        return waiting[0], available, take


class _Phase(enum.Enum, shape=3):
    IDLE = 0
    SUBKEY = 1
    MASK = 2
    MESSAGE = 3
    HASH = 4
    COMPARE = 5


def _length_block(lengths: data.View) -> Value:
    """Return ``[len(A)]64 || [len(C)]64``, in bits, most significant byte first."""
    fields = []
    for length in (lengths.aad, lengths.text):
        bits = Cat(Const(0, 3), length, Const(0, 29))
        fields += [bits[8 * n : 8 * n + 8] for n in reversed(range(8))]
    return Cat(fields)
