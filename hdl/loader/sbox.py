# SPDX-License-Identifier: Apache-2.0
"""The S-box of AES, computed instead of looked up.

A byte is an element of GF(2^8). Seen as a pair of elements of the subfield GF(2^4) its inverse
needs three small multiplications and one inverse of four bits, which is four LUT4 on an FPGA.
All constants are derived from the field polynomial by this file.
"""

from functools import reduce
from operator import xor

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SBox", "sbox"]

FIELD = 0x11B  # x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2)

# The pair (a, b) is the byte a * ROOT^16 + b * ROOT, where ROOT + ROOT^16 = 1; a and b are sums of
# elements of BASIS. Any root and any basis of the subfield give the same S-box; of all of them,
# these make the two linear layers smallest in LUT4.
ROOT = 66
BASIS = (12, 13, 81, 237)


def _multiply(a: int, b: int) -> int:
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = a << 1 ^ (FIELD if a & 0x80 else 0)
        b >>= 1
    return product


def _power(a: int, exponent: int) -> int:
    return reduce(_multiply, [a] * exponent, 1)


def _affine(a: int) -> int:
    """Return the linear part of FIPS 197, equation 5.2."""
    return reduce(xor, ((a << n | a >> (8 - n)) & 0xFF for n in range(5)))


def sbox(a: int) -> int:
    """Return the S-box of FIPS 197, section 5.1.1: inverse (0 for 0), then the affine map."""
    return _affine(_power(a, 254)) ^ 0x63


def _join(coordinates: int, units: tuple[int, ...]) -> int:
    """Return the sum of the units whose bits are set."""
    return reduce(xor, (unit for n, unit in enumerate(units) if coordinates >> n & 1), 0)


_UNITS = tuple(_multiply(unit, _power(ROOT, 16)) for unit in BASIS) + tuple(
    _multiply(unit, ROOT) for unit in BASIS
)
_SPLIT = {_join(n, _UNITS): n for n in range(256)}
_SMALL = {_join(n, BASIS): n for n in range(16)}
_NORM = _power(ROOT, 17)


def _linear(images: list[int], source: Value) -> Value:
    """Return the linear map that sends unit vector ``n`` to ``images[n]``."""
    width = max(images).bit_length()
    return Cat(
        reduce(xor, [source[n] for n, image in enumerate(images) if image >> bit & 1])
        for bit in range(width)
    )


def _product(a: Value, b: Value) -> Value:
    """Return the product of two elements of GF(2^4), both in BASIS."""
    partial = [_linear([_SMALL[_multiply(unit, other)] for other in BASIS], b) for unit in BASIS]
    return reduce(xor, [Mux(a[n], part, 0) for n, part in enumerate(partial)])


def _inverse(a: Value) -> Value:
    """Return the inverse in GF(2^4), 0 for 0, as a sum of minterms: four functions of four bits."""
    table = [_SMALL[_power(_join(n, BASIS), 14)] for n in range(16)]
    return reduce(lambda rest, n: Mux(a == n, table[n], rest), range(1, 16), Value.cast(0))


class SBox(wiring.Component):
    """SubBytes of one byte, combinational.

    Members
    -------
    data : :py:`In(8)`
    value : :py:`Out(8)`
        S-box of ``data``.

    Source: FIPS 197, section 5.1.1.
    """

    data: Signal
    value: Signal

    def __init__(self) -> None:
        super().__init__({"data": In(8), "value": Out(8)})

    def elaborate(self, platform: object) -> Module:
        """Split into the pair, invert, and join together with the affine map."""
        m = Module()
        low = Signal(4)
        high = Signal(4)
        norm = Signal(4)
        inverse = Signal(4)
        new_low = Signal(4)
        new_high = Signal(4)
        # (a t + b s)^-1 = (b t + a s) / (n (a + b)^2 + a b), where t = s^16, s + t = 1, s t = n
        square = [_SMALL[_multiply(_NORM, _multiply(unit, unit))] for unit in BASIS]
        m.d.comb += [
            Cat(low, high).eq(_linear([_SPLIT[1 << n] for n in range(8)], self.data)),
            norm.eq(_linear(square, low ^ high) ^ _product(low, high)),
            inverse.eq(_inverse(norm)),
            new_low.eq(_product(high, inverse)),
            new_high.eq(_product(low, inverse)),
            self.value.eq(
                _linear([_affine(unit) for unit in _UNITS], Cat(new_low, new_high)) ^ 0x63
            ),
        ]
        return m
