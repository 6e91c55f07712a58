# SPDX-License-Identifier: Apache-2.0
"""CRC-32 of IEEE 802.3, a bit a cycle, for two users that never work at the same time."""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.host.frames import CRC_INITIAL, CRC_POLYNOMIAL

__all__ = ["Crc", "CrcPort"]


class CrcPort(wiring.Signature):
    """Port of the CRC, seen from its user.

    Members
    -------
    clear : :py:`Out(1)`
        Back to the initial value; whatever runs is dropped.
    start : :py:`Out(1)`
        Takes ``data``. Only while not ``busy``.
    data : :py:`Out(8)`
        The next byte.
    busy : :py:`In(1)`
        From the cycle after ``start``, for eight cycles.
    value : :py:`In(32)`
        The register, low bit first, not inverted; steady while not ``busy``.
    """

    def __init__(self) -> None:
        super().__init__(
            {"clear": Out(1), "start": Out(1), "data": Out(8), "busy": In(1), "value": In(32)}
        )


class Crc(wiring.Component):
    """Takes a byte in eight cycles; a UART needs forty or more for one.

    Members
    -------
    users : :py:`In(CrcPort()).array(2)`
        Receiver and sender.

    Source
    ------
    IEEE 802.3, 3.2.9, in the reflected notation.
    """

    users: list[Any]

    def __init__(self) -> None:
        super().__init__({"users": In(CrcPort()).array(2)})

    def elaborate(self, platform: object) -> Module:
        """Divide."""
        m = Module()
        one, other = self.users
        value = Signal(32, init=CRC_INITIAL)
        rest = Signal(8)
        left = Signal(range(9))
        for user in self.users:
            m.d.comb += [user.busy.eq(left != 0), user.value.eq(value)]
        with m.If(one.start | other.start):
            m.d.sync += [rest.eq(Mux(one.start, one.data, other.data)), left.eq(8)]
        with m.If(left != 0):
            feedback = value[0] ^ rest[0]
            m.d.sync += [
                value.eq((value >> 1) ^ (feedback.replicate(32) & CRC_POLYNOMIAL)),
                rest.eq(rest >> 1),
                left.eq(left - 1),
            ]
        with m.If(one.clear | other.clear):
            m.d.sync += [value.eq(CRC_INITIAL), left.eq(0)]
        return m
