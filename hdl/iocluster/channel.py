# SPDX-License-Identifier: Apache-2.0
"""Ports of an I/O channel device, and the end of it that holds the registers."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.ionet.service import ANSWER

__all__ = ["ACCESS", "AccessPort", "ChannelPort"]

ACCESS = data.StructLayout({"valid": 1, "write": 1, "register": 4, "data": 32})
"""One access; ``register`` is the byte offset in the channel's page (abi.ChannelRegister)."""


class AccessPort(wiring.Signature):
    """Register accesses, as the device sees them (a device has it as ``Out``).

    Members
    -------
    access : :py:`In(ACCESS)`
        An access in each cycle with ``valid``.
    answer : :py:`Out(ANSWER)`
        Its answer, in the same cycle; all zero without an access.
    """

    def __init__(self) -> None:
        super().__init__({"access": In(ACCESS), "answer": Out(ANSWER)})


class ChannelPort(wiring.Signature):
    """The owner's end of a channel, as the device sees it (a device has it as ``Out``).

    Members
    -------
    access, answer
        As in :class:`AccessPort`.
    interrupt : :py:`Out(1)`
        Level.
    clear : :py:`In(1)`
        Buffers and enable bits to their reset values; wins over an access in the same cycle.
    """

    def __init__(self) -> None:
        super().__init__(
            {"access": In(ACCESS), "answer": Out(ANSWER), "interrupt": Out(1), "clear": In(1)}
        )
