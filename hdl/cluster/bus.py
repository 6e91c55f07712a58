# SPDX-License-Identifier: Apache-2.0
"""Buses inside a cluster."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LocalBus", "RegisterBus"]


class LocalBus(wiring.Signature):
    """One access at a time, seen from its master; the names are Wishbone's.

    Parameters
    ----------
    address_width : :class:`int`
        Bits of ``adr``, a word address: 30 for a core (guest-physical), 22 inside a cluster.

    Members
    -------
    ``stb`` stays until the one cycle in which ``ack`` or ``err`` ends the access; the other outputs
    keep their values meanwhile. ``dat_r`` is valid with ``ack``.
    """

    def __init__(self, *, address_width: int) -> None:
        super().__init__(
            {
                "stb": Out(1),
                "we": Out(1),
                "adr": Out(address_width),
                "sel": Out(4),
                "dat_w": Out(32),
                "dat_r": In(32),
                "ack": In(1),
                "err": In(1),
            }
        )


class RegisterBus(wiring.Signature):
    """Word access to a cluster's registers, seen from the interconnect.

    Members
    -------
    ``stb`` lasts one cycle. In the next one ``dat_r`` and ``err`` answer it. ``adr`` is the byte
    offset from :data:`~blindvisor.hdl.abi.REGISTER_OFFSET`; ``core`` and ``own`` say which core of
    this cluster asks (``own`` = 0: another cluster does).
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "stb": Out(1),
                "we": Out(1),
                "adr": Out(12),
                "core": Out(2),
                "own": Out(1),
                "dat_w": Out(32),
                "dat_r": In(32),
                "err": In(1),
            }
        )
