# SPDX-License-Identifier: Apache-2.0
"""Serial ports, as the link needs them."""

import contextlib
import os
from typing import Protocol

import serial

from blindvisor.sw.host.errors import PortLost

__all__ = ["Opener", "Port", "SerialPort"]

_SLICE = 0.02  # seconds; how late a read may notice that its time is over


class Port(Protocol):
    """Bytes out and in; every method raises :exc:`PortLost` if the port is gone."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def read(self) -> bytes:
        """Return what has come, after some :data:`_SLICE` seconds at most; often nothing."""
        ...

    def close(self) -> None:
        """Let go of it. Does not fail."""
        ...


class Opener(Protocol):
    """Opens a port by its name and baud rate, or raises :exc:`PortLost`."""

    def __call__(self, name: str, baud: int) -> Port:
        """Open it."""
        ...


class SerialPort:
    """A serial port of the operating system, for one process alone.

    Parameters
    ----------
    name : :class:`str`
        What the system calls it: ``/dev/ttyUSB0``, ``COM3``.
    baud : :class:`int`
        Bits per second.

    Raises
    ------
    :exc:`PortLost`
        If it cannot be opened.
    """

    def __init__(self, name: str, baud: int) -> None:
        self._name = name
        try:
            self._serial = serial.Serial(
                name, baud, timeout=_SLICE, write_timeout=5.0, exclusive=_exclusive()
            )
        except (OSError, ValueError) as error:
            raise PortLost(f"the port {name} cannot be opened: {_reason(error)}") from error
        # Linux alone: without it, adapters keep an answer back for 16 ms.
        with contextlib.suppress(OSError, ValueError, NotImplementedError, AttributeError):
            self._serial.set_low_latency_mode(True)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._serial.write(data)
        except OSError as error:
            raise PortLost(f"the port {self._name} is gone: {_reason(error)}") from error

    def read(self) -> bytes:
        """Wait for a byte, at most for a moment, and return it with all that came with it."""
        try:
            first = self._serial.read(1)
            return first + self._serial.read(self._serial.in_waiting) if first else b""
        except (OSError, TypeError) as error:  # TypeError: pyserial, if closed meanwhile
            raise PortLost(f"the port {self._name} is gone: {_reason(error)}") from error

    def close(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            self._serial.close()


def _exclusive() -> bool | None:
    """Two hosts on one port would take each other's answers; Windows never lets them."""
    return True if os.name == "posix" else None


def _reason(error: Exception) -> str:
    strerror = getattr(error, "strerror", None)
    return str(strerror or error).lower()
