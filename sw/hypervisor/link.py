# SPDX-License-Identifier: Apache-2.0
"""What every machine offers to the hypervisor, be it a model, a simulation or a board."""

from collections.abc import Sequence
from typing import Protocol

from blindvisor.hdl.config import MachineConfig

__all__ = ["BusError", "Link", "LinkTimeout"]


class BusError(Exception):
    """The hypervisor's port answered an access with an error; nothing changed.

    Parameters
    ----------
    address : :class:`int`
        Byte address of the access.
    write : :class:`bool`
        Whether it was a write.
    """

    def __init__(self, *, address: int, write: bool) -> None:
        verb = "write to" if write else "read of"
        super().__init__(f"the machine answered a {verb} address {address:#05x} with a bus error")
        self.address = address
        self.write = write


class LinkTimeout(Exception):
    """Something that must happen did not happen within the given number of cycles."""


class Link(Protocol):
    """The hypervisor's end of a machine: registers, TTYs, and time.

    All calls are synchronous: they return when the machine has done it. Nothing else of the
    machine can be reached through a link (no cluster memory, no guest registers).
    """

    @property
    def config(self) -> MachineConfig:
        """The machine at the other end."""
        ...

    def read(self, address: int) -> int:
        """Return the word of a register (byte address, abi.HypervisorRegister).

        Raises
        ------
        :exc:`BusError`
            If the port answers with an error.
        """
        ...

    def write(self, address: int, value: int) -> None:
        """Write a 32-bit word to a register.

        Raises
        ------
        :exc:`BusError`
            If the port answers with an error.
        """
        ...

    def write_words(self, address: int, words: Sequence[int]) -> int:
        """Write words to STAGING (``address``) as it takes them; return how many it took.

        Waits while there is no load yet (STATUS bit 2) or no space (STAGING_SPACE), and ends
        early, without an error, when the call ends (STATUS bit 1).
        """
        ...

    def read_words(self, address: int, count: int) -> list[int]:
        """Take ``count`` words from SAVED (``address``) as it gives them.

        Waits while there is no save yet (STATUS bit 3) or no word (SAVED_WORDS), and returns
        fewer, without an error, when the call ends (STATUS bit 1).
        """
        ...

    def wait_done(self, timeout: int) -> None:
        """Wait until the completion interrupt is up (STATUS bit 1), at most ``timeout`` cycles.

        Raises
        ------
        :exc:`LinkTimeout`
            If it is still down then.
        """
        ...

    def tty_read(self, channel: int) -> bytes:
        """Return what a TTY channel sent since the last call, without waiting."""
        ...

    def tty_write(self, channel: int, data: bytes) -> None:
        """Send bytes to a TTY channel; they arrive, in order, as the channel takes them."""
        ...

    def advance(self, cycles: int) -> None:
        """Let the machine run for that many cycles."""
        ...
