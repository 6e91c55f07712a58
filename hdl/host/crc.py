# SPDX-License-Identifier: Apache-2.0
"""CRC-32 of IEEE 802.3, a bit a cycle."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.host.frames import CRC_INITIAL, CRC_POLYNOMIAL

__all__ = ["Crc"]


class Crc(wiring.Component):
    """Takes a byte in eight cycles; a UART needs forty or more for one.

    Members
    -------
    clear : :py:`In(1)`
        Back to the initial value; whatever runs is dropped.
    start : :py:`In(1)`
        Takes ``data``. Only while not ``busy``.
    data : :py:`In(8)`
    busy : :py:`Out(1)`
        From the cycle after ``start``, for eight cycles.
    value : :py:`Out(32)`
        The register, low bit first, not inverted; steady while not ``busy``.

    Source
    ------
    IEEE 802.3, 3.2.9, in the reflected notation.
    """

    clear: Signal
    start: Signal
    data: Signal
    busy: Signal
    value: Signal

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "start": In(1),
                "data": In(8),
                "busy": Out(1),
                "value": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Divide."""
        m = Module()
        value = Signal(32, init=CRC_INITIAL)
        rest = Signal(8)
        left = Signal(range(9))
        m.d.comb += [self.busy.eq(left != 0), self.value.eq(value)]
        with m.If(self.start):
            m.d.sync += [rest.eq(self.data), left.eq(8)]
        with m.If(self.busy):
            feedback = value[0] ^ rest[0]
            m.d.sync += [
                value.eq((value >> 1) ^ (feedback.replicate(32) & CRC_POLYNOMIAL)),
                rest.eq(rest >> 1),
                left.eq(left - 1),
            ]
        with m.If(self.clear):
            m.d.sync += [value.eq(CRC_INITIAL), left.eq(0)]
        return m
