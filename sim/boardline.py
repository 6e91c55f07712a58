# SPDX-License-Identifier: Apache-2.0
"""Inside the simulator of a board: its two pins on a pseudo-terminal."""

import json
import os
import tty
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from blindvisor.sim.board import JOB_VARIABLE
from blindvisor.sim.events import deliver_to, emit
from blindvisor.sim.runner import EVENTS_VARIABLE
from blindvisor.sim.virtual import LineNoise

__all__ = ["serve"]

PERIOD_NS = 10
LOOK = 400
"""Cycles between looks at a quiet pseudo-terminal."""


class _Line:
    """Pins of the device, bytes of the terminal."""

    def __init__(self, dut: Any, divisor: int, master: int, noise: list[LineNoise]) -> None:
        self._dut = dut
        self._bit = divisor * PERIOD_NS
        self._master = master
        self._to_board, self._to_host = noise

    async def drive(self) -> None:
        """Put on ``rx`` what the host sends; a step of the simulator per edge, not per bit."""
        rx = self._dut.rx
        while True:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # nothing to read, or nobody at the other end
                data = b""
            if not data:
                await Timer(LOOK * PERIOD_NS, "ns")
            for byte in self._to_board(data):
                bits = [0, *(byte >> n & 1 for n in range(8)), 1]
                start = 0
                for n in range(1, 11):
                    if n == 10 or bits[n] != bits[start]:
                        rx.value = bits[start]
                        await Timer((n - start) * self._bit, "ns")
                        start = n

    async def listen(self) -> None:
        """Give the host what ``tx`` says, looking into the middle of each bit."""
        tx = self._dut.tx
        falls = FallingEdge(tx)
        while True:
            if tx.value:
                await falls
            await Timer(self._bit + self._bit // 2, "ns")
            byte = 0
            for n in range(8):
                byte |= int(tx.value) << n
                await Timer(self._bit, "ns")
            assert tx.value == 1, "the device must send a stop bit"
            try:
                os.write(self._master, self._to_host(bytes((byte,))))
            except OSError:  # unplugged, or nobody reads
                continue


async def _watch(dut: Any, calls: list[int]) -> None:
    """Note each command that the hypervisor's port takes."""
    called = RisingEdge(dut.called)
    while True:
        await called
        calls.append(int(dut.call.value))


@cocotb.test()
async def serve(dut: Any) -> None:
    """Run the board until the job's stop file is there; tell what its port has seen."""
    job = json.loads(os.environ[JOB_VARIABLE])
    with os.fdopen(int(os.environ[EVENTS_VARIABLE]), "w", buffering=1) as pipe:

        def deliver(event: dict[str, Any]) -> None:
            pipe.write(json.dumps(event) + "\n")

        with deliver_to(deliver):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            dut.rx.value = 1
            dut.button.value = 0
            dut.rst.value = 0
            await Timer(4 * PERIOD_NS, "ns")
            noise = [LineNoise(seed=seed, rate=job["noise"]) for seed in job["seeds"]]
            line = _Line(dut, job["divisor"], master, noise)
            calls: list[int] = []
            for task in (line.drive(), line.listen(), _watch(dut, calls)):
                cocotb.start_soon(task)
            emit("port", name=os.ttyname(slave))
            stop = Path(job["stop"])
            press = Path(job["press"])
            while not stop.exists():
                await Timer(10 * LOOK * PERIOD_NS, "ns")
                if press.exists():
                    dut.button.value = 1
                    await Timer(LOOK * PERIOD_NS, "ns")
                    dut.button.value = 0
                    await RisingEdge(dut.running)
                    press.unlink()
            emit(
                "seen",
                calls=calls,
                staged=int(dut.staged.value),
                saved=int(dut.saved.value),
                printed=int(dut.printed.value),
                typed=int(dut.typed.value),
                spoiled=[each.spoiled for each in noise],
            )
            os.close(slave)
            os.close(master)
