# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's port: a plain bus, one cycle an access."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["HypervisorBus"]


class HypervisorBus(wiring.Signature):
    """Bus of the hypervisor, seen from its master (the I/O cluster has it as ``In``).

    In every cycle with ``stb`` the target answers, in the same cycle, with exactly one of ``ack``
    and ``err``; each such cycle is one access. After ``err`` nothing has changed.

    Members
    -------
    stb, we : :py:`Out(1)`
        An access is made in this cycle; it is a write.
    adr : :py:`Out(12)`
        Byte address: abi.HypervisorRegister. Only whole words are answered.
    dat_w : :py:`Out(32)`
        Word to write.
    dat_r : :py:`In(32)`
        Word read, valid with ``ack`` of a read; otherwise 0.
    ack, err : :py:`In(1)`
        Done; refused.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "stb": Out(1),
                "we": Out(1),
                "adr": Out(12),
                "dat_w": Out(32),
                "dat_r": In(32),
                "ack": In(1),
                "err": In(1),
            }
        )
