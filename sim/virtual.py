# SPDX-License-Identifier: Apache-2.0
"""A board on a pseudo-terminal: the models of device and machine, on a line that can go wrong."""

import contextlib
import os
import random
import select
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

from blindvisor.sw.host.device import Device
from blindvisor.sw.model.link import ModelLink

__all__ = ["LineNoise", "VirtualBoard"]

Line = Callable[[bytes], bytes]

_IDLE = 0.005  # seconds
_STEP = 200  # cycles that the machine runs between looks at the line


class LineNoise:
    """A line that flips a bit of a byte, loses a byte, or puts another before it.

    Parameters
    ----------
    seed : :class:`int`
        Of the random numbers.
    rate : :class:`float`
        How often each of the three happens to a byte, 0 to 1/3.

    Members
    -------
    spoiled : :class:`int`
        How many bytes it happened to.
    """

    def __init__(self, *, seed: int, rate: float) -> None:
        if not 0 <= rate <= 1 / 3:
            raise ValueError(f"rate must be from 0 to 1/3, not {rate}")
        self.rate = rate
        self.spoiled = 0
        self._rng = random.Random(seed)

    def __call__(self, data: bytes) -> bytes:
        """Return what arrives of some bytes."""
        rng, rate = self._rng, self.rate
        line = bytearray()
        for byte in data:
            kind = rng.random()
            self.spoiled += kind < 3 * rate
            if kind < rate:
                line.append(byte ^ 1 << rng.randrange(8))
            elif kind < 2 * rate:
                pass
            elif kind < 3 * rate:
                line += bytes((rng.randrange(256), byte))
            else:
                line.append(byte)
        return bytes(line)


class VirtualBoard:
    """A board without hardware: a thread that serves a device on a pseudo-terminal.

    Parameters
    ----------
    link : :class:`~blindvisor.sw.model.link.ModelLink`
        The machine; it runs while the board is plugged in.
    folder : :class:`~pathlib.Path`
        Gets the port's name: a board that is plugged in again comes back under the same one.
    to_board, to_host : callable
        The line: what arrives of the bytes that are sent.

    Members
    -------
    name : :class:`str`
        Of the port.
    on_answer : callable
        Called before an answer leaves; if it returns False, the board is unplugged instead.
    """

    def __init__(
        self,
        link: ModelLink,
        folder: Path,
        *,
        to_board: Line = bytes,
        to_host: Line = bytes,
    ) -> None:
        self.link = link
        self.device = Device(link)
        self.name = str(folder / "ttyBOARD")
        self.to_board = to_board
        self.to_host = to_host
        self.on_answer: Callable[[], bool] = lambda: True
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.plug()

    def plug(self) -> None:
        """Plug it in: the port is there, and the machine as it was."""
        master, slave = os.openpty()
        tty.setraw(slave)
        Path(self.name).unlink(missing_ok=True)
        Path(self.name).symlink_to(os.ttyname(slave))
        os.close(slave)
        self._stop.clear()
        self._thread = threading.Thread(target=self._serve, args=(master,), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        """Take it away: whoever has the port open sees it vanish."""
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _serve(self, master: int) -> None:
        try:
            while not self._stop.is_set():
                if not select.select([master], [], [], _IDLE)[0]:
                    self._run(_STEP)
                    continue
                try:
                    data = os.read(master, 4096)
                except OSError:  # nobody has opened the other end
                    time.sleep(_IDLE)
                    continue
                answer = self.device.feed(self.to_board(data))
                self._run(_STEP)
                if answer:
                    if not self.on_answer():
                        return
                    os.write(master, self.to_host(answer))
        finally:
            with contextlib.suppress(OSError):
                Path(self.name).unlink(missing_ok=True)
                os.close(master)

    def _run(self, cycles: int) -> None:
        self.link.advance(cycles)
        self.device.clock += cycles
