# SPDX-License-Identifier: Apache-2.0
"""Derivation of the key encryption key: SP 800-108r1 in counter mode over AES-256-CMAC.

Byte *n* of a block is bits ``[8n+7:8n]``.
"""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.loader.aes import CipherUser

__all__ = ["CONTEXT", "LABEL", "Kdf"]

LABEL = b"bv-key-wrap"
CONTEXT = b"blindvisor 1"
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
    """Derives 256 bits from the key of the cipher.

    K(i) = CMAC(key, i || LABEL || 00 || CONTEXT || 256), over two whole blocks: CMAC needs only K1.

    Parameters
    ----------
    lanes : :class:`int`
        Blocks that the cipher works on at once. Only the first is used.

    Members
    -------
    start : :py:`In(1)`
        Begins. Not while one is being derived.
    valid : :py:`Out(1)`
        High for one cycle with K(1) and for a later one with K(2).
    half : :py:`Out(128)`
        K(1), then K(2).
    done : :py:`Out(1)`
        High with the second ``valid``. The key may change then.
    cipher : :py:`Out(CipherUser(lanes))`
        AES-256 with the key to derive from.

    Notes
    -----
    Five ciphers long, whatever the key is (P7).

    Source: NIST SP 800-108r1, section 4.1; SP 800-38B, section 6.2.
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    start: Signal
    valid: Signal
    half: Signal
    done: Signal
    cipher: Any

    def __init__(self, *, lanes: int) -> None:
        super().__init__(
            {
                "start": In(1),
                "valid": Out(1),
                "half": Out(128),
                "done": Out(1),
                "cipher": Out(CipherUser(lanes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Cipher zero for the subkey, then two blocks for each half."""
        m = Module()
        phase = Signal(_Phase)
        second_half = Signal()
        subkey = Signal(128)
        block = Signal(128)
        result = self.cipher.results[0]
        # the counter of the half that comes next, as four bytes
        number = Mux(phase == _Phase.SECOND, Const(2, 8), Const(1, 8))
        first = Cat(Const(0, 24), number, Const(int.from_bytes(LABEL + b"\0", "little"), 96))
        second = Const(int.from_bytes(CONTEXT + LENGTH, "little"), 128)

        m.d.comb += [self.half.eq(result), self.cipher.blocks[0].eq(block)]
        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                with m.If(self.start):
                    m.d.comb += self.cipher.start.eq(1)
                    m.d.sync += [phase.eq(_Phase.SUBKEY), second_half.eq(0)]
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
                        self.valid.eq(1),
                        self.done.eq(second_half),
                        self.cipher.start.eq(~second_half),
                    ]
                    m.d.sync += [
                        second_half.eq(1),
                        phase.eq(Mux(second_half, _Phase.IDLE, _Phase.FIRST)),
                    ]
        return m
