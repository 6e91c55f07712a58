# SPDX-License-Identifier: Apache-2.0
"""The root's end of the I/O network, as one leaf sees it, for benches of a single tile."""

from collections import deque
from collections.abc import Callable
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import (
    IO_REQUEST,
    LANE_REPLY,
    REPLY_CYCLES,
    UP_FLIT,
    LaneOp,
    down_flit,
    io_answer,
    lane_command,
)

__all__ = ["LeafDriver"]


class LeafDriver:
    """Drives ``down`` in every cycle and listens to ``up``, sampled and changed at the rising edge.

    Parameters
    ----------
    serve
        Answers an I/O request (the fields of IO_REQUEST by name) with (error, data).
    index
        The leaf's slot.
    """

    def __init__(
        self,
        dut: Any,
        config: MachineConfig,
        serve: Callable[[dict[str, int]], tuple[bool, int]],
        *,
        index: int = 0,
    ) -> None:
        self._dut = dut
        self._config = config
        self._serve = serve
        self._index = index
        self._down = down_flit(config)
        self._commands: deque[Any] = deque()
        self._due: deque[int] = deque()
        self._replies: deque[tuple[int, int]] = deque()
        self._answer: tuple[bool, int] | None = None
        self.interrupts = 0
        self.requests: list[dict[str, int]] = []
        self.cycle = 0
        self._drive()
        cocotb.start_soon(self._run())

    def _drive(self) -> None:
        slots = self._config.clusters
        lane = self.cycle & 1
        slot = (self.cycle >> 1) % slots
        valid, payload = 0, 0
        if lane:
            if self._commands:
                op, data, named = self._commands.popleft()
                valid = 1
                payload = (
                    lane_command(self._config)
                    .const({"data": data, "op": op, "named": named, "cluster": self._index})
                    .as_bits()
                )
                if named:
                    self._due.append(self.cycle + REPLY_CYCLES)
        elif slot == self._index:
            error, data = self._answer or (False, 0)
            valid, self._answer = int(self._answer is not None), None
            payload = (
                io_answer(self._config)
                .const({"data": data, "error": error, "interrupts": self.interrupts})
                .as_bits()
            )
        self._dut.down.value = self._down.const(
            {"slot": slot, "lane": lane, "valid": valid, "payload": payload}
        ).as_bits()

    def _listen(self) -> None:
        up = UP_FLIT.from_bits(int(self._dut.up.value))
        due = bool(self._due) and self._due[0] == self.cycle
        if due:
            self._due.popleft()
            reply = LANE_REPLY.from_bits(up.payload & ((1 << LANE_REPLY.size) - 1))
            assert up.valid, "no reply when one was due"
            self._replies.append((reply.ok, reply.data))
        elif up.valid:
            slot = (self.cycle >> 1) % self._config.clusters
            assert not self.cycle & 1, "a leaf spoke in the monitor's time"
            assert slot == self._index, "a leaf spoke in another one's slot"
            request = IO_REQUEST.from_bits(up.payload)
            fields = {name: int(getattr(request, name)) for name, _ in IO_REQUEST}
            self.requests.append(fields)
            self._answer = self._serve(fields)
        else:
            assert int(self._dut.up.value) == 0, "an idle leaf sends zeros"

    async def _run(self) -> None:
        while True:
            await RisingEdge(self._dut.clk)
            self._listen()
            self.cycle += 1
            self._drive()

    async def call(self, op: LaneOp, data: int = 0) -> tuple[int, int]:
        """Give a named command; return (ok, data) of its reply."""
        assert not self._due, "one call at a time"
        self._commands.append((op, data, 1))
        while not self._replies:
            await RisingEdge(self._dut.clk)
        return self._replies.popleft()

    async def broadcast(self, op: LaneOp, data: int) -> None:
        """Give a command to all clusters of the owner ``data``."""
        self._commands.append((op, data, 0))
        while self._commands:
            await RisingEdge(self._dut.clk)

    async def write(self, words: list[int], *, offset: int = 0) -> None:
        """Write memory words; every one must be accepted."""
        assert (await self.call(LaneOp.ADDRESS, offset))[0]
        self._commands.extend((LaneOp.WRITE, word, 1) for word in words)
        for _ in words:
            while not self._replies:
                await RisingEdge(self._dut.clk)
            assert self._replies.popleft()[0], "a write was refused"

    async def read(self, count: int, *, offset: int = 0) -> list[int]:
        """Read memory words; every one must be accepted."""
        assert (await self.call(LaneOp.ADDRESS, offset))[0]
        self._commands.extend((LaneOp.READ, 0, 1) for _ in range(count))
        words = []
        for _ in range(count):
            while not self._replies:
                await RisingEdge(self._dut.clk)
            ok, word = self._replies.popleft()
            assert ok, "a read was refused"
            words.append(word)
        return words
