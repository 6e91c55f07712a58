# SPDX-License-Identifier: Apache-2.0
"""Save numbers: each is given out once in the life of a machine."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SaveNumber"]


class SaveNumber(wiring.Component):
    """Counts the saves of one power-on, below the epoch that the key store gave it.

    Members
    -------
    epoch : :py:`In(64)`, epoch_valid : :py:`In(1)`
        Of this power-on, from the key store, which gives no epoch twice. Must not change while
        ``epoch_valid`` is set.
    available : :py:`Out(1)`
        There is an epoch, and a number of it that was never given out.
    take : :py:`In(1)`
        Gives out the next number. Does nothing unless ``available``.
    number : :py:`Out(96)`
        From the cycle after ``take`` on: the number given out last, ``epoch || count``, both
        little-endian.

    Notes
    -----
    The count is 0 after reset and never is in a number that was given out; it moves on before it is
    used, and stops at its largest value: from then on no number is available.
    """

    epoch: Signal
    epoch_valid: Signal
    available: Signal
    take: Signal
    number: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "epoch": In(64),
                "epoch_valid": In(1),
                "available": Out(1),
                "take": In(1),
                "number": Out(96),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Count up to the end."""
        m = Module()
        count = Signal(32)
        m.d.comb += [
            self.available.eq(self.epoch_valid & ~count.all()),
            self.number.eq(Cat(self.epoch, count)),
        ]
        with m.If(self.take & self.available):
            m.d.sync += count.eq(count + 1)
        return m
