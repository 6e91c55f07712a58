# SPDX-License-Identifier: Apache-2.0
"""GHASH of SP 800-38D, digit by digit.

The standard's bit *i* of a block, the coefficient of x^i, is bit ``7 - i % 8`` of byte ``i // 8``;
byte *n* of a block is bits ``[8n+7:8n]`` here. Inside, bit *i* of a polynomial is the coefficient
of x^i.
"""

from functools import reduce
from operator import xor

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Ghash", "hash_cycles"]

POLYNOMIAL = 0x87  # x^128 + x^7 + x^2 + x + 1, without its first term


def _mirror(block: Value) -> Value:
    """Return block as polynomial, or polynomial as block: the bits of each byte turned round."""
    return Cat(block[n ^ 7] for n in range(128))


def hash_cycles(digit: int) -> int:
    """Return the cycles per block with digits of so many bits.

    Raises
    ------
    :exc:`ValueError`
        If there is no multiplier with such digits.
    """
    if digit not in (1, 2, 4, 8, 16, 32, 64):
        raise ValueError(f"digit must be a power of two from 1 to 64, not {digit!r}")
    return 128 // digit


class Ghash(wiring.Component):
    """Hashes one block in ``128 / digit`` cycles.

    The last digit of a block waits until the next block comes, and is worked on in the cycle that
    takes it: so blocks follow each other without a gap. The hash so far is what that step gives.

    Parameters
    ----------
    digit : :class:`int`
        Coefficients that are worked on per cycle: a power of two from 1 to 64.

    Members
    -------
    key : :py:`In(128)`
        The hash subkey H. Must not change from the first block to the last use of ``hash``.
    clear : :py:`In(1)`
        Starts a new hash. No block is taken in the same cycle.
    block : :py:`In(128)`
        Next block.
    valid : :py:`In(1)`
        There is a block. It is taken if ``ready``.
    ready : :py:`Out(1)`
        A block can be taken, and ``hash`` is complete.
    hash : :py:`Out(128)`
        Hash of all blocks taken since ``clear``. Meaningless while ``ready`` is low.

    Raises
    ------
    :exc:`ValueError`
        If ``digit`` is none of the above.

    Notes
    -----
    ``ready`` comes back ``128 / digit`` cycles after a block was taken, whatever block and key are
    (P7).

    Source: NIST SP 800-38D, sections 6.3 and 6.4.
    """

    key: Signal
    clear: Signal
    block: Signal
    valid: Signal
    ready: Signal
    hash: Signal

    def __init__(self, *, digit: int = 16) -> None:
        self.digit = digit
        self.cycles = hash_cycles(digit)
        super().__init__(
            {
                "key": In(128),
                "clear": In(1),
                "block": In(128),
                "valid": In(1),
                "ready": Out(1),
                "hash": Out(128),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Horner's rule, from the digit with the highest powers down."""
        m = Module()
        width = self.digit
        key = Signal(128)
        factor = Signal(128)  # what is left of the block; the next digit is on top
        total = Signal(128)
        after = Signal(128)
        left = Signal(range(self.cycles))  # digits after this one

        m.d.comb += key.eq(_mirror(self.key))
        rows = [Mux(factor[128 - width + n], key.shift_left(n), 0) for n in range(width)]
        wide = Signal(128 + width)
        m.d.comb += wide.eq(reduce(xor, rows, total.shift_left(width)))
        high = wide[128:]
        folds = [high.shift_left(n) for n in range(8) if POLYNOMIAL >> n & 1]
        # A digit of 64 or less leaves nothing above x^127 after one fold.
        m.d.comb += [
            after.eq(reduce(xor, folds, wide[:128])),
            self.ready.eq(left == 0),
            self.hash.eq(_mirror(after)),
        ]
        with m.If(self.clear):
            m.d.sync += [total.eq(0), factor.eq(0), left.eq(0)]
        with m.Elif(left != 0):
            m.d.sync += [total.eq(after), factor.eq(factor.shift_left(width)), left.eq(left - 1)]
        with m.Elif(self.valid):
            m.d.sync += [
                total.eq(0),
                factor.eq(after ^ _mirror(self.block)),
                left.eq(self.cycles - 1),
            ]
        return m
