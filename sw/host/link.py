# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's end of a board."""

import secrets
import time
from collections.abc import Sequence
from typing import Self

from blindvisor.hdl.abi import HypervisorRegister
from blindvisor.hdl.config import CONFIGURATIONS, MachineConfig
from blindvisor.hdl.host.frames import CAPACITY, TRAILER_WORDS, FrameType, machine_hash
from blindvisor.sw.host.errors import LinkMisuse, WrongDevice
from blindvisor.sw.host.exchange import Answer, Exchange
from blindvisor.sw.host.port import Opener, SerialPort
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout
from blindvisor.sw.hypervisor.monitor import (
    STATUS_BUSY,
    STATUS_DONE,
    STATUS_LOADING,
    STATUS_SAVING,
)

__all__ = ["BAUD", "UartLink"]

BAUD = 1_000_000
"""Bits per second, if nothing else is said: adapters know it, and most clocks divide to it."""

_POSTED = 5  # writes that may be put off
PIECE = CAPACITY - TRAILER_WORDS - 2 * _POSTED - 3
"""Words of an image per frame, at most: there is room for what was put off, and for headers."""

TYPED = 16
"""Bytes typed per frame: what a channel of most machines holds."""

_MAGIC = 0x31564C42  # what the register ID holds
_ARGUMENTS = range(HypervisorRegister.ARG0.value, HypervisorRegister.ARG4.value + 4, 4)
_LOAD = STATUS_LOADING | STATUS_SAVING
_LONGEST = 0.02  # seconds between looks at a call that runs
_SETTLE = 20.0  # seconds; scrubbing a whole machine takes far less


class UartLink:
    """A :class:`~blindvisor.sw.hypervisor.link.Link` to a board, over its UART.

    Parameters
    ----------
    port : :class:`str`
        Name of the serial port.
    config : :class:`~blindvisor.hdl.config.MachineConfig` or None
        The machine that must be there. None: any of the named configurations.
    baud : :class:`int`
        Bits per second.
    timeout : :class:`float`
        Seconds of silence after which a frame is sent again; doubled at each further attempt.
    attempts : :class:`int`
        How often a frame is sent.
    patience : :class:`float`
        Seconds for which a port that went away is waited for.
    piece : :class:`int`
        Words of an image per frame. On a noisy line short frames arrive more often.
    opener : callable
        Opens the port.

    Raises
    ------
    :exc:`~blindvisor.sw.host.errors.PortLost`
        If the port cannot be opened. Also from every method, if it went away for too long.
    :exc:`~blindvisor.sw.host.errors.NoAnswer`
        If nothing answers. Also from every method.
    :exc:`~blindvisor.sw.host.errors.WrongDevice`
        If what answers is no such machine.

    Notes
    -----
    Opening ends a load or a save that another host has left behind. Later, every method may raise
    :exc:`~blindvisor.sw.host.errors.DeviceReset` or
    :exc:`~blindvisor.sw.host.errors.SessionTaken`. Writes of ARG0..ARG4, which the port never
    refuses, travel with the access that follows. For one thread at a time.
    """

    def __init__(
        self,
        port: str,
        config: MachineConfig | None = None,
        *,
        baud: int = BAUD,
        timeout: float = 0.25,
        attempts: int = 10,
        patience: float = 10.0,
        piece: int = PIECE,
        opener: Opener = SerialPort,
    ) -> None:
        if not 1 <= piece <= PIECE:
            raise ValueError(f"piece must be from 1 to {PIECE}, not {piece}")
        self.port = port
        self._piece = piece
        self._posted: list[tuple[int, int]] = []
        self._printed: dict[int, bytearray] = {}
        self._looked: set[int] = set()  # channels that were read since the last answer
        self._waiting = True  # a printed byte waited then
        self._clock: int | None = None
        self._cycles = 0
        self._exchange = Exchange(
            port,
            baud=baud,
            timeout=timeout,
            attempts=attempts,
            patience=patience,
            opener=opener,
        )
        try:
            self.config = self._recognize(config)
            self.reconnect()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Nothing to do: it is open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the port; the machine runs on."""
        self._exchange.close()

    def reconnect(self) -> None:
        """Bring link and machine to a known state, after any error.

        A load or save that was under way is aborted, and a call that runs is waited for. What VMs
        there are then, the machine tells.

        Raises
        ------
        :exc:`~blindvisor.sw.host.errors.HostLinkError`
            As the class; after DeviceReset and SessionTaken, open the link anew.
        :exc:`~blindvisor.sw.hypervisor.link.LinkTimeout`
            If the call does not end.
        """
        self._posted.clear()
        self._exchange.resume()
        deadline = time.monotonic() + _SETTLE
        if self.read(HypervisorRegister.STATUS.value) & _LOAD:
            self.write(HypervisorRegister.ABORT.value, 1)
        while (status := self.read(HypervisorRegister.STATUS.value)) & STATUS_BUSY:
            if time.monotonic() > deadline:
                raise LinkTimeout(f"the machine is still busy after {_SETTLE:g} s")
        if status & STATUS_DONE:
            self.write(HypervisorRegister.STATUS.value, 1)

    @property
    def cycles(self) -> int:
        """Cycles of the machine's clock since the link was opened, as of the last answer."""
        return self._cycles

    @property
    def clock_hz(self) -> int:
        """The machine's clock, as the board tells it."""
        return self._exchange.clock_hz

    @property
    def retries(self) -> int:
        """Frames that were sent more than once."""
        return self._exchange.retries

    def read(self, address: int) -> int:
        """Read a register."""
        answer = self._access(address, count=1)
        if answer.refused:
            raise BusError(address=address, write=False)
        return answer.words[0]

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        if not 0 <= value < 1 << 32:
            raise ValueError(f"value must be a 32-bit word, not {value}")
        if address in _ARGUMENTS and len(self._posted) < _POSTED:
            self._posted.append((address, value))
        elif self._access(address, words=[value]).refused:
            raise BusError(address=address, write=True)

    def write_words(self, address: int, words: Sequence[int]) -> int:
        """Write words to STAGING as it takes them; return how many it took."""
        taken = 0
        while taken < len(words):
            answer = self._access(address, words=words[taken : taken + self._piece])
            taken += answer.done
            if answer.refused and not self._goes_on(STATUS_LOADING):
                break
        return taken

    def read_words(self, address: int, count: int) -> list[int]:
        """Take words from SAVED as it gives them; return fewer if the call ends."""
        words: list[int] = []
        while len(words) < count:
            answer = self._access(address, count=min(self._piece, count - len(words)))
            words += answer.words
            if answer.refused and not self._goes_on(STATUS_SAVING):
                break
        return words

    def wait_done(self, timeout: int) -> None:
        """Wait for the end of a call; ``timeout`` in cycles of the machine."""
        began, pause = None, 0.0
        while not self.read(HypervisorRegister.STATUS.value) & STATUS_DONE:
            if began is None:
                began = self._cycles
            if self._cycles - began > timeout:
                raise LinkTimeout(f"no call ended within {timeout} cycles")
            if self._waiting:
                self._take_printed()
            time.sleep(pause)
            pause = min(pause + 0.001, _LONGEST)

    def tty_read(self, channel: int) -> bytes:
        """Return what a TTY channel printed since the last call."""
        self._tty(channel)
        # The last answer told whether a byte waits; nobody need ask again until the next one.
        if self._waiting or channel in self._looked:
            self._take_printed()
        self._looked.add(channel)
        printed = self._printed.setdefault(channel, bytearray())
        found = bytes(printed)
        printed.clear()
        return found

    def tty_write(self, channel: int, data: bytes) -> None:
        """Type on a TTY channel; the machine drops what a full channel cannot take."""
        self._tty(channel)
        for start in range(0, len(data), TYPED):
            part = data[start : start + TYPED]
            self._flush()
            self._ask(FrameType.TTY_WRITE, [byte | channel << 8 for byte in part])

    def advance(self, cycles: int) -> None:
        """Let at least that many cycles pass; the board's time passes anyway."""
        if cycles < 0:
            raise ValueError(f"cycles must not be negative, not {cycles}")
        self._flush()
        self._take_printed()
        until = self._cycles + cycles
        while (left := until - self._cycles) > 0:
            time.sleep(min(left / self.clock_hz, _LONGEST))
            self._take_printed()

    def _recognize(self, wanted: MachineConfig | None) -> MachineConfig:
        """Open a session; return the machine's configuration, if it is the one."""
        number = self._exchange.hello(secrets.randbelow((1 << 32) - 1) + 1)
        candidates = [wanted] if wanted is not None else list(CONFIGURATIONS.values())
        for config in candidates:
            if machine_hash(config) == number:
                return config
        kinds = (
            f"the machine {wanted.name}"
            if wanted is not None
            else f"any of {', '.join(CONFIGURATIONS)} (give its configuration)"
        )
        raise WrongDevice(
            f"on {self.port} is {self._describe()}, hash {number:016x}; that is not {kinds}"
            + (f", hash {machine_hash(wanted):016x}" if wanted is not None else "")
        )

    def _describe(self) -> str:
        """What the registers of an unexpected machine tell."""
        registers = (
            HypervisorRegister.ID,
            HypervisorRegister.MESH,
            HypervisorRegister.MEMORY,
            HypervisorRegister.LIMITS,
        )
        name, mesh, memory, limits = (self.read(register.value) for register in registers)
        if name != _MAGIC:
            return f"something that is no machine (ID {name:#010x})"
        return (
            f"a machine of {mesh & 0xFF} x {mesh >> 8 & 0xFF} clusters with"
            f" {mesh >> 16 & 0xFF} cores and {memory} bytes each, {limits & 0xFF} VM slots and"
            f" {limits >> 8 & 0xFF} channels"
        )

    def _goes_on(self, bit: int) -> bool:
        """After a refused word: whether the load or save still runs, or is about to begin."""
        status = self.read(HypervisorRegister.STATUS.value)
        if not status & STATUS_BUSY or status & STATUS_DONE:
            return False
        if not status & bit:
            time.sleep(0.001)  # the monitor has not got that far
        return True

    def _flush(self) -> None:
        """Make the accesses that were put off."""
        if self._posted:
            self._access(HypervisorRegister.STATUS.value, count=1)

    def _access(
        self, address: int, *, count: int = 0, words: Sequence[int] | None = None
    ) -> Answer:
        """Read ``count`` times, or write ``words``, at one address, behind what was put off."""
        if not 0 <= address < 1 << 12:
            raise ValueError(f"address must be from 0 to 0xfff, not {address:#x}")
        payload: list[int] = []
        for posted, value in self._posted:
            payload += [_header(posted, 1, write=True), value]
        if words is None:
            payload.append(_header(address, count, write=False))
        else:
            payload += [_header(address, len(words), write=True), *words]
        before = len(self._posted)
        answer = self._ask(FrameType.ACCESS, payload)
        self._posted.clear()
        if answer.done < before:
            raise LinkMisuse(f"on {self.port} is a machine whose arguments cannot be written")
        return answer.without(before)

    def _ask(self, kind: FrameType, payload: Sequence[int]) -> Answer:
        answer = self._exchange.ask(kind, payload)
        if self._clock is not None:
            self._cycles += (answer.clock - self._clock) % (1 << 32)
        self._clock = answer.clock
        self._looked.clear()
        self._waiting = answer.printed
        return answer

    def _take_printed(self) -> None:
        """Read what is printed: one frame, as a guest could print without end."""
        for word in self._ask(FrameType.TTY_READ, ()).words:
            self._printed.setdefault(word >> 8 & 0xF, bytearray()).append(word & 0xFF)

    def _tty(self, channel: int) -> None:
        if not 0 <= channel < self.config.tty_channels:
            raise ValueError(
                f"a TTY channel must be from 0 to {self.config.tty_channels - 1}, not {channel}"
            )


def _header(address: int, count: int, *, write: bool) -> int:
    """Return the word of :data:`~blindvisor.hdl.host.frames.ACCESS` for some accesses."""
    return address | int(write) << 15 | count << 16
