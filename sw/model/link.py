# SPDX-License-Identifier: Apache-2.0
"""The model behind the hypervisor's registers."""

from collections.abc import Sequence

from blindvisor.hdl.abi import HypervisorRegister, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.hypervisor import MAILBOX_STRIDE
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout
from blindvisor.sw.hypervisor.monitor import (
    STATUS_BUSY,
    STATUS_DONE,
    STATUS_LOADING,
    STATUS_SAVING,
)
from blindvisor.sw.model.channels import Channel
from blindvisor.sw.model.machine import Machine
from blindvisor.sw.model.monitor import Monitor
from blindvisor.sw.model.rv32 import AccessError
from blindvisor.sw.model.store import Store

__all__ = ["ModelLink"]

_ID = 0x31564C42  # "BLV1"
_ARGUMENTS = range(HypervisorRegister.ARG0.value, HypervisorRegister.ARG4.value + 4, 4)


class ModelLink:
    """A :class:`~blindvisor.sw.hypervisor.link.Link` to a machine in plain Python.

    Calls end at once; a load ends with the word that decides it, a save with the last word. Guests
    only run in :meth:`advance`.

    Parameters
    ----------
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        The machine.
    root_key : :class:`bytes`
        Its root key, 32 bytes.
    store : :class:`~blindvisor.sw.model.store.Store` or None
        What it remembers beyond its power-off; None: nothing.
    epoch : :class:`int` or None
        What the key store gives it as the epoch of this power-on; None: nothing.

    Members
    -------
    store : :class:`~blindvisor.sw.model.store.Store`
        What it was given; a test may change what the machine remembers.
    """

    def __init__(
        self,
        config: MachineConfig,
        *,
        root_key: bytes,
        store: Store | None = None,
        epoch: int | None = 1,
    ) -> None:
        if len(root_key) != 32:
            raise ValueError(f"a root key must have 32 bytes, not {len(root_key)}")
        self.config = config
        self._root_key = root_key
        self.store = store if store is not None else Store(config.store_rows)
        if (rows := len(self.store.rows)) != config.store_rows:
            raise ValueError(f"the store must have {config.store_rows} rows, not {rows}")
        self._epoch = epoch
        self._power_on()

    def _power_on(self) -> None:
        self.machine = Machine(self.config)
        """For tests that look behind the registers; the hypervisor must not."""
        self._monitor = Monitor(self.machine, self._root_key, store=self.store, epoch=self._epoch)
        self._arguments = [0] * 5
        self._done = False

    def reset(self) -> None:
        """Reset the machine, which has scrubbed itself then. It gets the next epoch."""
        if self._epoch is not None:
            self._epoch = max(self.store.power_on(), self._epoch + 1)
        self._power_on()

    def read(self, address: int) -> int:
        """Read a register."""
        config, monitor = self.config, self._monitor
        loader, saver = monitor.loader, monitor.saver
        match address:
            case HypervisorRegister.ID.value:
                return _ID
            case HypervisorRegister.MESH.value:
                return config.width | config.height << 8 | config.cores << 16
            case HypervisorRegister.MEMORY.value:
                return config.memory_bytes
            case HypervisorRegister.LIMITS.value:
                return (
                    config.vms
                    | config.channels << 8
                    | config.tty_channels << 16
                    | config.guest_channels << 24
                )
            case HypervisorRegister.STATUS.value:
                busy = (STATUS_BUSY | STATUS_LOADING) if loader is not None else 0
                busy |= (STATUS_BUSY | STATUS_SAVING) if saver is not None else 0
                return busy | (STATUS_DONE if self._done else 0)
            case HypervisorRegister.RESULT.value:
                return monitor.result.value
            case HypervisorRegister.STAGING_SPACE.value:
                return min(config.staging_words, loader.remaining) if loader is not None else 0
            case HypervisorRegister.SAVED_WORDS.value:
                return saver.waiting if saver is not None else 0
            case HypervisorRegister.SAVED.value if saver is not None and saver.waiting:
                word, ended = monitor.take()
                self._done |= ended
                return word
            case _ if address in _ARGUMENTS:
                return self._arguments[_ARGUMENTS.index(address)]
            case _ if 0 <= (n := address - HypervisorRegister.VALUE0.value) < 16 and n % 4 == 0:
                return monitor.values[n // 4]
        return self._mailbox(address, None)

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        if not 0 <= value < 1 << 32:
            raise ValueError(f"value must be a 32-bit word, not {value}")
        monitor = self._monitor
        match address:
            case HypervisorRegister.COMMAND.value if not self._running:
                if monitor.call(value, list(self._arguments)):
                    self._done = True
            case HypervisorRegister.STATUS.value:
                self._done = False
            case HypervisorRegister.ABORT.value:
                if self._running:
                    monitor.abort()
                    self._done = True
            case HypervisorRegister.STAGING.value if monitor.loader is not None:
                if monitor.feed(value):
                    self._done = True
            case _ if address in _ARGUMENTS:
                self._arguments[_ARGUMENTS.index(address)] = value
            case _:
                self._mailbox(address, value)

    @property
    def states(self) -> dict[int, VmState]:
        """State of each slot; for tests, like ``machine``."""
        return self._monitor.states

    @property
    def _running(self) -> bool:
        return self._monitor.loader is not None or self._monitor.saver is not None

    def read_words(self, address: int, count: int) -> list[int]:
        """Take words from SAVED until the call ends."""
        words: list[int] = []
        while len(words) < count and self._monitor.saver is not None:
            words.append(self.read(address))
        return words

    def accesses(self, accesses: Sequence[tuple[int, int | None]]) -> list[int | None]:
        """Make accesses: (address, None to read or what to write); None: a bus error."""
        given: list[int | None] = []
        for address, value in accesses:
            try:
                if value is None:
                    given.append(self.read(address))
                else:
                    self.write(address, value)
                    given.append(0)
            except BusError:
                given.append(None)
        return given

    def write_words(self, address: int, words: Sequence[int]) -> int:
        """Write words to STAGING until the call ends."""
        for taken, word in enumerate(words):
            if self._monitor.loader is None:
                return taken
            self.write(address, word)
        return len(words)

    def wait_done(self, timeout: int) -> None:
        """Return if the last call has ended; nothing that could be waited for happens later."""
        if not self._done:
            raise LinkTimeout(f"no call has ended within {timeout} cycles")

    def tty_read(self, channel: int) -> bytes:
        """Return what a TTY channel printed."""
        printed = self._tty(channel).printed
        data = bytes(printed)
        printed.clear()
        return data

    def tty_write(self, channel: int, data: bytes) -> None:
        """Type on a TTY channel."""
        tty = self._tty(channel)
        tty.typed.extend(data)
        tty.refill()

    def advance(self, cycles: int) -> None:
        """Let the VMs run."""
        self.machine.advance(cycles)

    def _tty(self, channel: int) -> Channel:
        if not 0 <= channel < self.config.tty_channels:
            raise ValueError(
                f"a TTY channel must be from 0 to {self.config.tty_channels - 1}, not {channel}"
            )
        return self.machine.channels[channel]

    def _mailbox(self, address: int, value: int | None) -> int:
        mailbox, register = divmod(address - HypervisorRegister.MAILBOX.value, MAILBOX_STRIDE)
        try:
            if not 0 <= mailbox < self.config.mailbox_channels:
                raise AccessError
            channel = self.machine.channels[self.config.tty_channels + mailbox]
            return channel.hypervisor_access(register, value)
        except AccessError:
            raise BusError(address=address, write=value is not None) from None
