# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's end of a simulated machine, over cocotb."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.task import Task, resume
from cocotb.triggers import First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from blindvisor.hdl.abi import HypervisorRegister
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout
from blindvisor.sw.hypervisor.monitor import STATUS_BUSY, STATUS_DONE
from blindvisor.sw.model.store import ROW_BITS, Row, Store

__all__ = ["PERIOD_NS", "SimLink"]

PERIOD_NS = 10
"""Clock period; nothing depends on it but the time axis of traces."""

STAGING_POLL = 256
"""Cycles between looks at a full staging area, or for words of a saved image: some ten words of
the loader's pace."""

TYPING_PAUSE = 1024
"""Cycles between typed bytes. The machine drops a byte for a full channel, as a UART does."""

RESET_CYCLES = 4


class SimLink:
    """A :class:`~blindvisor.sw.hypervisor.link.Link` to the top module of a machine.

    Its methods block, so they are called from a thread of :func:`cocotb.task.bridge`. Between two
    calls the simulation stands at a rising clock edge, before anything has changed.

    Parameters
    ----------
    dut
        cocotb's handle of the machine's top module.
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        What it was made from.
    root_key : :class:`bytes`
        Its root key, 32 bytes.
    store : :class:`~blindvisor.sw.model.store.Store`
        What it remembers beyond its power-off.
    epoch : :class:`int` or None
        What the key store gives it as the epoch of this power-on; None: nothing.
    cycle_limit : :class:`int`
        Cycles after reset after which every call ends with :exc:`LinkTimeout`.
    own_clock : :class:`bool`
        Whether the simulator drives the clock itself.

    Members
    -------
    store : :class:`~blindvisor.sw.model.store.Store`
        What it was given; a bench may change what the machine remembers.

    Notes
    -----
    Python runs only at accesses, and when a byte is printed, the store is asked or a call ends:
    everything between costs what the simulator alone does.
    """

    def __init__(
        self,
        dut: Any,
        config: MachineConfig,
        *,
        root_key: bytes,
        store: Store,
        epoch: int | None,
        cycle_limit: int,
        own_clock: bool = False,
    ) -> None:
        if len(root_key) != 32:
            raise ValueError(f"a root key must have 32 bytes, not {len(root_key)}")
        self.config = config
        self.cycle_limit = cycle_limit
        self._dut = dut
        self._root_key = root_key
        self.store = store
        self._epoch = epoch
        self._own_clock = own_clock
        self._edge = RisingEdge(dut.clk)
        self._stb, self._we = dut.hypervisor__stb, dut.hypervisor__we
        self._adr, self._dat_w = dut.hypervisor__adr, dut.hypervisor__dat_w
        self._err, self._dat_r = dut.hypervisor__err, dut.hypervisor__dat_r
        self._printed = [bytearray() for _ in range(config.tty_channels)]
        self._typed: deque[int] = deque()
        self._typist: Task[None] | None = None
        self._begin = 0.0

    async def start(self) -> None:
        """Start clock, reset, and what serves the machine's ports. Awaited once, before all."""
        dut = self._dut
        for port in (self._stb, self._we, self._adr, self._dat_w):
            port.value = 0
        dut.root_key.value = int.from_bytes(self._root_key, "little")
        dut.epoch.value = self._epoch or 0
        dut.epoch_valid.value = self._epoch is not None
        dut.store__request__ready.value = 1
        dut.store__response.value = 0
        dut.tty_in__valid.value = 0
        dut.tty_in__payload.value = 0
        dut.tty_out__ready.value = 1
        dut.rst.value = 1
        if not self._own_clock:
            Clock(dut.clk, PERIOD_NS, "ns").start()
        for _ in range(RESET_CYCLES):
            await self._edge
        dut.rst.value = 0
        await self._edge
        self._begin = get_sim_time("ns")
        cocotb.start_soon(self._listen())
        cocotb.start_soon(self._serve_store())

    @property
    def cycles(self) -> int:
        """Cycles since the first reset."""
        return int(get_sim_time("ns") - self._begin) // PERIOD_NS

    def read(self, address: int) -> int:
        """Read a register."""
        return resume(self._access)(address, None)

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        if not 0 <= value < 1 << 32:
            raise ValueError(f"value must be a 32-bit word, not {value}")
        resume(self._access)(address, value)

    def accesses(self, accesses: Sequence[tuple[int, int | None]]) -> list[int | None]:
        """Make accesses one cycle after the other: (address, None to read or what to write).

        Returns the word that each gave (0 for a write), None for a bus error.
        """
        return resume(self._accesses)(accesses)

    def write_words(self, address: int, words: Sequence[int]) -> int:
        """Write words to STAGING as it takes them; return how many it took."""
        return resume(self._burst)(address, words)

    def read_words(self, address: int, count: int) -> list[int]:
        """Take words from SAVED as it gives them; return fewer if the call ends."""
        return resume(self._drain)(address, count)

    def wait_done(self, timeout: int) -> None:
        """Wait for the completion interrupt."""
        resume(self._wait_done)(timeout)

    def reset(self) -> None:
        """Reset the machine, which still scrubs itself then; memory keeps what it holds.

        It gets the next epoch. What was printed and not read is lost.
        """
        resume(self._reset)()

    def tty_read(self, channel: int) -> bytes:
        """Return what a TTY channel printed since the last call."""
        printed = self._printed[self._tty(channel)]
        data = bytes(printed)
        printed.clear()
        return data

    def tty_write(self, channel: int, data: bytes) -> None:
        """Type on a TTY channel, a byte every :data:`TYPING_PAUSE` cycles."""
        self._typed.extend(self._tty(channel) << 8 | byte for byte in data)
        resume(self._wake_typist)()

    def advance(self, cycles: int) -> None:
        """Let the machine run."""
        if cycles < 0:
            raise ValueError(f"cycles must not be negative, not {cycles}")
        if cycles:
            resume(self._advance)(cycles)

    def _tty(self, channel: int) -> int:
        if not 0 <= channel < self.config.tty_channels:
            raise ValueError(
                f"a TTY channel must be from 0 to {self.config.tty_channels - 1}, not {channel}"
            )
        return channel

    def _check_limit(self, more: int) -> None:
        if self.cycles + more > self.cycle_limit:
            raise LinkTimeout(f"the scenario reached its limit of {self.cycle_limit} cycles")

    async def _reset(self) -> None:
        self._check_limit(RESET_CYCLES)
        if self._epoch is not None:
            self._epoch = max(self.store.power_on(), self._epoch + 1)
            self._dut.epoch.value = self._epoch
        self._typed.clear()
        self._dut.rst.value = 1
        for _ in range(RESET_CYCLES):
            await self._edge
        self._dut.rst.value = 0
        await self._edge
        for printed in self._printed:
            printed.clear()

    async def _access(self, address: int, value: int | None) -> int:
        """One cycle of the bus: driven from this edge on, answered at the next."""
        if not 0 <= address < 1 << 12:
            raise ValueError(f"address must be from 0 to 0xfff, not {address:#x}")
        self._check_limit(1)
        self._stb.value = 1
        self._adr.value = address
        self._we.value = value is not None
        self._dat_w.value = value or 0
        await self._edge
        self._stb.value = 0
        if self._err.value:
            raise BusError(address=address, write=value is not None)
        return int(self._dat_r.value) if value is None else 0

    async def _accesses(self, accesses: Sequence[tuple[int, int | None]]) -> list[int | None]:
        given: list[int | None] = []
        for address, value in accesses:
            try:
                given.append(await self._access(address, value))
            except BusError:
                given.append(None)
        return given

    async def _burst(self, address: int, words: Sequence[int]) -> int:
        taken = 0
        while taken < len(words):
            space = await self._access(HypervisorRegister.STAGING_SPACE.value, None)
            if space == 0:
                # Right after the command the loader is not there yet; busy tells it from the end.
                status = await self._access(HypervisorRegister.STATUS.value, None)
                if not status & STATUS_BUSY or status & STATUS_DONE:
                    break
                await self._advance(STAGING_POLL)
                continue
            try:
                for word in words[taken : taken + space]:
                    await self._access(address, word)
                    taken += 1
            except BusError:
                continue  # the load has ended meanwhile, or is about to
        return taken

    async def _drain(self, address: int, count: int) -> list[int]:
        words: list[int] = []
        while len(words) < count:
            waiting = await self._access(HypervisorRegister.SAVED_WORDS.value, None)
            if waiting == 0:
                status = await self._access(HypervisorRegister.STATUS.value, None)
                if not status & STATUS_BUSY or status & STATUS_DONE:
                    break
                await self._advance(STAGING_POLL)
                continue
            try:
                for _ in range(min(waiting, count - len(words))):
                    words.append(await self._access(address, None))
            except BusError:
                continue  # the save has failed meanwhile
        return words

    async def _wait_done(self, timeout: int) -> None:
        await self._edge  # what was written last is now done
        if not self._dut.interrupt.value:
            cycles = min(timeout, max(self.cycle_limit - self.cycles, 1))
            await First(RisingEdge(self._dut.interrupt), Timer(cycles * PERIOD_NS, "ns"))
            await self._edge
        if not self._dut.interrupt.value:
            self._check_limit(1)
            raise LinkTimeout(f"no call ended within {timeout} cycles")

    async def _advance(self, cycles: int) -> None:
        self._check_limit(cycles)
        # To the falling edge before the last one: exactly at it, the order would be open.
        await Timer(cycles * PERIOD_NS - PERIOD_NS // 2, "ns")
        await self._edge

    async def _serve_store(self) -> None:
        """Answer the store's port, a cycle after each request; sleeps until there is one."""
        valid, payload = self._dut.store__request__valid, self._dut.store__request__payload
        response = self._dut.store__response
        index_bits = max(1, (len(self.store.rows) - 1).bit_length())
        requested = RisingEdge(valid)
        while True:
            if not valid.value:
                await requested
            await self._edge
            asked = int(payload.value)
            write, index = asked & 1, asked >> 1 & (1 << index_bits) - 1
            if write:
                row = asked >> 1 + index_bits & (1 << ROW_BITS) - 1
                self.store.write(index, Row.from_bits(row))
            kept = self.store.rows[index]
            response.value = (kept.as_bits() if kept is not None else 0) << 1 | 1
            await self._edge
            response.value = 0

    async def _listen(self) -> None:
        """Collect what is printed; sleeps until the machine offers a byte."""
        valid, payload = self._dut.tty_out__valid, self._dut.tty_out__payload
        offered = RisingEdge(valid)
        while True:
            if not valid.value:
                await offered
            await self._edge
            while valid.value:
                word = int(payload.value)
                self._printed[word >> 8].append(word & 0xFF)
                await self._edge

    async def _wake_typist(self) -> None:
        if self._typist is None or self._typist.done():
            self._typist = cocotb.start_soon(self._type())

    async def _type(self) -> None:
        valid, payload = self._dut.tty_in__valid, self._dut.tty_in__payload
        while self._typed:
            payload.value = self._typed.popleft()
            valid.value = 1
            await self._edge
            while not self._dut.tty_in__ready.value:
                await self._edge
            valid.value = 0
            await Timer(TYPING_PAUSE * PERIOD_NS - PERIOD_NS // 2, "ns")
            await self._edge
