# SPDX-License-Identifier: Apache-2.0
"""A board in a simulator: the RTL behind its two pins, which are a pseudo-terminal of the host."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.host.board import BOARD_MODULE, board_top
from blindvisor.hdl.host.uart import uart_divisor
from blindvisor.sim.compiled import CompiledModel, SimulatorError, compile_model
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.runner import default_seed, simulate
from blindvisor.sim.session import TILE

__all__ = ["BAUD", "CLOCK_HZ", "JOB_VARIABLE", "SimulatedBoard", "compile_board", "power_up"]

JOB_VARIABLE = "BLINDVISOR_BOARD"
"""Holds, for the simulator's process, what to do, as JSON."""

CLOCK_HZ, BAUD = 4_000_000, 1_000_000
"""Four cycles a bit: the fewest that the receiver takes."""

OBSERVER = "observed_board"

_OBSERVER = f"""
// What the machine's ports have seen: counted here, where the link cannot pretend anything.
module {OBSERVER}(input wire clk, input wire rst, input wire rx, input wire button,
    output wire tx, output wire running, output wire open, output wire interrupt,
    output reg called, output reg [31:0] call, output reg [31:0] staged, output reg [31:0] saved,
    output reg [31:0] printed, output reg [31:0] typed);
  {BOARD_MODULE} board(.clk(clk), .rst(rst), .rx(rx), .reset(button), .tx(tx), .running(running),
    .open(open), .interrupt(interrupt));
  wire access = board.machine.hypervisor__stb & board.machine.hypervisor__ack;
  wire write = access & board.machine.hypervisor__we;
  wire [11:0] address = board.machine.hypervisor__adr;
  initial begin
    called = 0; call = 0; staged = 0; saved = 0; printed = 0; typed = 0;
  end
  always @(posedge clk) begin
    called <= write && address == 12'h010;
    call <= board.machine.hypervisor__dat_w;
    if (write && address == 12'h050) staged <= staged + 1;
    if (access && !write && address == 12'h058) saved <= saved + 1;
    if (board.machine.tty_out__valid & board.machine.tty_out__ready) printed <= printed + 1;
    if (board.machine.tty_in__valid & board.machine.tty_in__ready) typed <= typed + 1;
  end
endmodule
"""


@dataclass
class SimulatedBoard:
    """A board that runs.

    Members
    -------
    port : :class:`str`
        Name of its serial port.
    seen : :class:`dict`
        Filled when it has been switched off: ``calls`` (commands that the hypervisor's port took,
        in order), ``staged`` and ``saved`` (words), ``printed`` and ``typed`` (bytes of all TTYs),
        ``spoiled`` (bytes of the line to the board, and to the host).
    """

    port: str
    _press: Path
    seen: dict[str, Any] = field(default_factory=dict)

    def press_reset(self) -> None:
        """Press the reset button and wait until the reset is over."""
        self._press.touch()
        while self._press.exists():
            time.sleep(0.01)


def compile_board(config: MachineConfig, *, root_key: bytes) -> CompiledModel:
    """Return the compiled model of a board with the machine."""
    board = board_top(config, root_key=root_key, clock_hz=CLOCK_HZ, baud=BAUD)
    return compile_model(
        machine_verilog(config) + board + _OBSERVER,
        top=OBSERVER,
        sim="verilator",
        internals=False,
        fast=True,
        own_clock=True,
        repeated=TILE,
    )


@contextmanager
def power_up(
    model: CompiledModel,
    folder: Path,
    *,
    noise: float = 0.0,
    seed: int | None = None,
    timeout: float = 600.0,
) -> Iterator[SimulatedBoard]:
    """Run a board while the ``with`` block lasts.

    Parameters
    ----------
    model
        From :func:`compile_board`.
    folder : :class:`~pathlib.Path`
        Receives the log.
    noise : :class:`float`
        Rate of each kind of :class:`~blindvisor.sim.virtual.LineNoise`, both ways.
    seed : :class:`int`
        Of memory without reset, and of the noise.
    timeout : :class:`float`
        Wall-clock seconds after which the board dies.

    Raises
    ------
    :exc:`~blindvisor.sim.compiled.SimulatorError`
        If the simulator dies.
    """
    seed = default_seed() if seed is None else seed
    stop = folder / "stop"
    press = folder / "press"
    for file in (stop, press):
        file.unlink(missing_ok=True)
    log = folder / "board.log"
    job = {
        "divisor": uart_divisor(clock_hz=CLOCK_HZ, baud=BAUD),
        "noise": noise,
        "seeds": [2 * seed, 2 * seed + 1],
        "stop": str(stop),
        "press": str(press),
    }
    ready = threading.Event()
    board = SimulatedBoard("", press)
    failure: list[Exception] = []

    def listen(event: dict[str, Any]) -> None:
        if event["kind"] == "port":
            board.port = event["name"]
            ready.set()
        elif event["kind"] == "seen":
            board.seen = event

    def run() -> None:
        try:
            simulate(
                model,
                "blindvisor.sim.boardline",
                log,
                seed=seed,
                timeout=timeout,
                env={JOB_VARIABLE: json.dumps(job)},
                arguments=["+verilator+rand+reset+2", f"+verilator+seed+{seed % (1 << 31) or 1}"],
                on_event=listen,
            )
        except Exception as error:
            failure.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        ready.wait()
        if not failure:
            yield board
    finally:
        stop.touch()
        thread.join()
        if failure:
            raise SimulatorError(str(failure[0])) from failure[0]
