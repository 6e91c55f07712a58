# SPDX-License-Identifier: Apache-2.0
"""A whole machine on a board: clock, UART, LEDs."""

from typing import Any

from amaranth import Module
from amaranth.lib import io, wiring

from blindvisor.fpga.boards import Board
from blindvisor.fpga.clocking import add_clock
from blindvisor.hdl.host.board import BoardMachine

__all__ = ["MachineTop"]


class MachineTop(wiring.Component):
    """The machine and its host link on a board's pins.

    Parameters
    ----------
    board : :class:`Board`
        A board with the design ``machine``.
    root_key : :class:`bytes`
        32 bytes, constant in the bitstream.

    Notes
    -----
    LEDs, as many as there are: reset is over; a host has said HELLO; a call has ended.
    """

    def __init__(self, board: Board, *, root_key: bytes) -> None:
        self._board = board
        self._root_key = root_key
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        """Clock, machine, pins."""
        board = self._board
        m = Module()
        add_clock(
            m,
            platform,
            family=board.family,
            oscillator_mhz=board.oscillator_mhz,
            clock_mhz=board.clock_mhz,
        )
        m.submodules.board = machine = BoardMachine(
            board.machine,
            root_key=self._root_key,
            clock_hz=round(board.clock_mhz * 1e6),
            baud=board.baud,
        )
        uart = platform.request("uart", 0, dir="-")
        m.submodules.rx_pin = rx = io.Buffer(io.Direction.Input, uart.rx)
        m.submodules.tx_pin = tx = io.Buffer(io.Direction.Output, uart.tx)
        m.d.comb += [machine.rx.eq(rx.i), tx.o.eq(machine.tx), machine.reset.eq(0)]
        for number, light in enumerate((machine.running, machine.open, machine.interrupt)):
            led = light_pin(platform, number)
            if led is not None:
                m.submodules[f"led{number}_pin"] = buffer = io.Buffer(io.Direction.Output, led)
                m.d.comb += buffer.o.eq(light)
        return m


def light_pin(platform: Any, number: int) -> Any:
    """Return the port of a LED, or of the green of a RGB LED, or None if there are not so many."""
    for resource, part in (("led", None), ("rgb_led", "g")):
        if (resource, number) in platform.resources:
            port = platform.request(resource, number, dir="-")
            return port if part is None else getattr(port, part)
    return None
