# SPDX-License-Identifier: Apache-2.0
"""Key derivation (SP 800-108r1, counter mode) and MACs of digests, both over AES-256-CMAC.

Byte *n* of a block is bits ``[8n+7:8n]``.
"""

from typing import Any

from amaranth import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.loader.aes import CipherUser

__all__ = ["CONTEXT", "LABELS", "Kdf", "KdfLabel"]


class KdfLabel(enum.Enum, shape=2):
    """What is derived from the root key (docs/image.md)."""

    WRAP = 0  # key that wraps VM keys
    SAVE = 1  # key of one saved image; the only label with a context of its own
    MACHINE = 2  # identity of the machine: its first half
    ATTEST = 3  # key of reports


LABELS = {
    KdfLabel.WRAP: b"bv-key-wrap",
    KdfLabel.SAVE: b"bv-save-key",
    KdfLabel.MACHINE: b"bv-machine-",
    KdfLabel.ATTEST: b"bv-attest-k",
}
"""The labels as they enter the derivation: all of the same length, so that it always takes two
blocks."""

CONTEXT = b"blindvisor 1"
"""Context of all labels but SAVE."""

LENGTH = (256).to_bytes(4, "big")


class _Phase(enum.Enum, shape=2):
    IDLE = 0
    SUBKEY = 1
    FIRST = 2
    SECOND = 3


def _twice(block: Value) -> Value:
    """Return the subkey K1 made of L (SP 800-38B, section 6.1, step 2)."""
    number = Cat(block.word_select(n, 8) for n in reversed(range(16)))
    double = Cat(Const(0, 1), number[:127]) ^ Mux(number[127], 0x87, 0)
    return Cat(double.word_select(n, 8) for n in reversed(range(16)))


class Kdf(wiring.Component):
    """Derives 256 bits from the key of the cipher, or makes the MAC of 256 bits under it.

    K(i) = CMAC(key, i || label || 00 || context || 256); the MAC is CMAC(key, message). Both are
    over two whole blocks: CMAC needs only K1.

    Parameters
    ----------
    lanes : :class:`int`
        Blocks that the cipher works on at once. Only the first is used.

    Members
    -------
    start : :py:`In(1)`
        Begins. Not while something is being made. The four inputs below must not change from here
        to ``done``.
    mac : :py:`In(1)`
        A MAC of ``message`` instead of a key.
    label : :py:`In(KdfLabel)`, context : :py:`In(96)`
        What to derive. ``context`` counts for SAVE alone; the others have :data:`CONTEXT`.
    message : :py:`In(256)`
        32 bytes to make the MAC of.
    valid : :py:`Out(1)`
        High for one cycle with K(1) and for a later one with K(2). Low for a MAC: nothing that
        takes keys takes one.
    half : :py:`Out(128)`
        K(1), then K(2); the MAC, with ``done``.
    done : :py:`Out(1)`
        High for one cycle: with the second ``valid``, or with the MAC. The key may change then.
    cipher : :py:`Out(CipherUser(lanes))`
        AES-256 with the key to work under.

    Notes
    -----
    Five ciphers long, or three for a MAC, whatever the key is (P7).

    Source: NIST SP 800-108r1, section 4.1; SP 800-38B, section 6.2.
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    start: Signal
    mac: Signal
    label: Signal
    context: Signal
    message: Signal
    valid: Signal
    half: Signal
    done: Signal
    cipher: Any

    def __init__(self, *, lanes: int) -> None:
        super().__init__(
            {
                "start": In(1),
                "mac": In(1),
                "label": In(KdfLabel),
                "context": In(96),
                "message": In(256),
                "valid": Out(1),
                "half": Out(128),
                "done": Out(1),
                "cipher": Out(CipherUser(lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Cipher zero for the subkey, then two blocks for each half or for the MAC."""
        m = Module()
        phase = Signal(_Phase)
        last = Signal()  # no half comes after this one
        subkey = Signal(128)
        block = Signal(128)
        result = self.cipher.results[0]
        # the counter of the half that comes next, as four bytes
        number = Mux(phase == _Phase.SECOND, Const(2, 8), Const(1, 8))
        label = Array(Const(int.from_bytes(LABELS[name], "little"), 88) for name in KdfLabel)
        context = Mux(
            Value.cast(self.label) == KdfLabel.SAVE.value,
            self.context,
            int.from_bytes(CONTEXT, "little"),
        )
        first, second = Signal(128), Signal(128)
        m.d.comb += [
            first.eq(Cat(Const(0, 24), number, label[Value.cast(self.label)], Const(0, 8))),
            second.eq(Cat(context, Const(int.from_bytes(LENGTH, "little"), 32))),
        ]
        with m.If(self.mac):
            m.d.comb += Cat(first, second).eq(self.message)

        m.d.comb += [self.half.eq(result), self.cipher.blocks[0].eq(block)]
        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                with m.If(self.start):
                    m.d.comb += self.cipher.start.eq(1)
                    m.d.sync += [phase.eq(_Phase.SUBKEY), last.eq(self.mac)]
            with m.Case(_Phase.SUBKEY):
                m.d.comb += block.eq(first)
                with m.If(self.cipher.ready):
                    m.d.comb += self.cipher.start.eq(1)
                    m.d.sync += [subkey.eq(_twice(result)), phase.eq(_Phase.FIRST)]
            with m.Case(_Phase.FIRST):
                m.d.comb += block.eq(result ^ second ^ subkey)
                with m.If(self.cipher.ready):
                    m.d.comb += self.cipher.start.eq(1)
                    m.d.sync += phase.eq(_Phase.SECOND)
            with m.Case(_Phase.SECOND):
                m.d.comb += block.eq(first)
                with m.If(self.cipher.ready):
                    m.d.comb += [
                        self.valid.eq(~self.mac),
                        self.done.eq(last),
                        self.cipher.start.eq(~last),
                    ]
                    m.d.sync += [
                        last.eq(1),
                        phase.eq(Mux(last, _Phase.IDLE, _Phase.FIRST)),
                    ]
        return m
