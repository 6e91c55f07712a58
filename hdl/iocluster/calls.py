# SPDX-License-Identifier: Apache-2.0
"""Ports of the monitor towards the register file and the loader."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import Result

__all__ = ["CallPort", "LoadPort"]


class CallPort(wiring.Signature):
    """How calls reach the monitor, seen from the register file (the monitor has it as ``In``).

    Members
    -------
    start : :py:`Out(1)`
        Begins the call; ignored while ``busy``.
    command, arguments : :py:`Out(32)`, :py:`Out(data.ArrayLayout(32, 5))`
        The words written; valid with ``start``.
    abort : :py:`Out(1)`
        Ends a VM_LOAD or VM_SAVE; ignored while none runs.
    busy, loading, saving : :py:`In(1)`
        A call runs (also after power-on); the call takes words of an image; it gives such words.
    ended : :py:`In(1)`
        One cycle, the last of ``busy``.
    result, values : :py:`In(Result)`, :py:`In(data.ArrayLayout(32, 4))`
        From the cycle after ``ended`` until the next: the registers RESULT and VALUE0..VALUE3.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": Out(1),
                "command": Out(32),
                "arguments": Out(data.ArrayLayout(32, 5)),
                "abort": Out(1),
                "busy": In(1),
                "loading": In(1),
                "saving": In(1),
                "ended": In(1),
                "result": In(Result),
                "values": In(data.ArrayLayout(32, 4)),
            }
        )


class LoadPort(wiring.Signature):
    """How the monitor runs the loader, seen from the monitor.

    Members
    -------
    start, save, vm, x, y, width, height, length
        Held until ``busy``: a save, not a load; the slot; the rectangle in machine coordinates; the
        bytes of the image to load.
    abort : :py:`Out(1)`
        Held until ``done``.
    busy, done, result, resumed
        ``done`` for one cycle with ``result`` and ``resumed``.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "start": Out(1),
                "save": Out(1),
                "vm": Out(8),
                "x": Out(4),
                "y": Out(4),
                "width": Out(5),
                "height": Out(5),
                "length": Out(32),
                "abort": Out(1),
                "busy": In(1),
                "done": In(1),
                "result": In(Result),
                "resumed": In(1),
            }
        )
