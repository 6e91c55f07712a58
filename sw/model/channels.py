# SPDX-License-Identifier: Apache-2.0
"""I/O channels and their guard, as both ends see them."""

from collections import deque
from collections.abc import Callable

from blindvisor.hdl.abi import ChannelKind, ChannelRegister
from blindvisor.sw.model.rv32 import AccessError

__all__ = ["NONCE_WORDS", "SATURATED", "AttestChannel", "Channel", "Reporter"]

SATURATED = 0xFFFF
"""Where counts of denials stop."""

NONCE_WORDS = 8
"""Words of a verifier's nonce."""

Reporter = Callable[[int, bytes], bytes | None]
"""Gives the report of a VM for a nonce, or None while it cannot."""

_READABLE, _WRITABLE = 1, 2


class Channel:
    """One physical channel: owner, two directions of words, the guest's interrupt enables.

    Parameters
    ----------
    kind : :class:`~blindvisor.hdl.abi.ChannelKind`
        A TTY's output leaves at once and its words are bytes.
    depth : :class:`int`
        Words that a direction holds.
    """

    def __init__(self, kind: ChannelKind, depth: int) -> None:
        self.kind = kind
        self.owner = 0
        self.guest_channel = 0
        self.denied = 0
        self.printed = bytearray()  # what a terminal has got
        self.typed: deque[int] = deque()  # what a terminal still has to send
        self._depth = depth
        self._to_guest: deque[int] = deque()
        self._to_hypervisor: deque[int] = deque()
        self._enable = 0

    def give(self, owner: int, guest_channel: int) -> None:
        """Clear the channel and change its owner, 0 for nobody (P10)."""
        self._to_guest.clear()
        self._to_hypervisor.clear()
        self._enable = 0
        self.owner = owner
        self.guest_channel = guest_channel
        self.refill()

    @property
    def interrupt(self) -> bool:
        """Level towards the owner."""
        return bool(self._enable & self._status())

    def guest_access(self, owner: int, register: int, value: int | None) -> int:
        """Access by a cluster that ``owner`` owns; ``value`` None: a read.

        Raises
        ------
        :exc:`~blindvisor.sw.model.rv32.AccessError`
            If it owns another channel than this one, or the register does not allow it.
        """
        if owner == 0 or owner != self.owner:
            self.denied = min(self.denied + 1, SATURATED)
            raise AccessError
        match register, value:
            case ChannelRegister.STATUS.value, None:
                return self._status() | self.kind.value << 8
            case ChannelRegister.ENABLE.value, None:
                return self._enable
            case ChannelRegister.ENABLE.value, int():
                self._enable = value & (_READABLE | _WRITABLE)
                return 0
            case ChannelRegister.DATA.value, None if self._to_guest:
                word = self._to_guest.popleft()
                self.refill()
                return word
            case ChannelRegister.DATA.value, int() if self._status() & _WRITABLE:
                if self.kind is ChannelKind.TTY:
                    self.printed.append(value & 0xFF)
                else:
                    self._to_hypervisor.append(value)
                return 0
        raise AccessError

    def hypervisor_access(self, register: int, value: int | None) -> int:
        """Access to a mailbox by the hypervisor.

        Raises
        ------
        :exc:`~blindvisor.sw.model.rv32.AccessError`
            If the register does not allow it.
        """
        room = len(self._to_guest) < self._depth
        match register, value:
            case ChannelRegister.STATUS.value, None:
                return _READABLE * bool(self._to_hypervisor) | _WRITABLE * room
            case ChannelRegister.DATA.value, None if self._to_hypervisor:
                return self._to_hypervisor.popleft()
            case ChannelRegister.DATA.value, int() if room:
                self._to_guest.append(value)
                return 0
        raise AccessError

    def refill(self) -> None:
        """Take what is typed, as far as there is room."""
        while self.typed and len(self._to_guest) < self._depth:
            self._to_guest.append(self.typed.popleft())

    def _status(self) -> int:
        full = len(self._to_hypervisor) >= self._depth
        return _READABLE * bool(self._to_guest) | _WRITABLE * (not full)


class AttestChannel(Channel):
    """The channel through which a VM gets reports about itself.

    Parameters
    ----------
    reporter : :data:`Reporter`
        Who makes them.
    """

    def __init__(self, reporter: Reporter) -> None:
        super().__init__(ChannelKind.ATTEST, NONCE_WORDS)
        self._reporter = reporter

    def guest_access(self, owner: int, register: int, value: int | None) -> int:
        """As every channel, once a report that can be made is made."""
        self._status()
        return super().guest_access(owner, register, value)

    def _status(self) -> int:
        if self.owner and len(self._to_hypervisor) == NONCE_WORDS and not self._to_guest:
            nonce = b"".join(word.to_bytes(4, "little") for word in self._to_hypervisor)
            report = self._reporter(self.owner, nonce)
            if report is not None:
                self._to_hypervisor.clear()
                self._to_guest.extend(
                    int.from_bytes(report[at : at + 4], "little") for at in range(0, len(report), 4)
                )
        return _READABLE if self._to_guest else super()._status() & _WRITABLE
