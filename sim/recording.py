# SPDX-License-Identifier: Apache-2.0
"""Signals of a machine, cycle by cycle, from a running simulation into a file and out of it."""

import ctypes
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

__all__ = ["Difference", "Recording", "Signal", "record", "stop_recording"]

_TOP = "harness"
"""What Verilator and :func:`~blindvisor.sim.verilator.with_harness` put around a machine."""


class Signal(NamedTuple):
    """A signal: path of its instance below the machine's top, and name."""

    instance: str
    name: str


class Difference(NamedTuple):
    """Where two recordings differ first."""

    cycle: int
    signal: Signal
    left: int
    right: int


def record(path: Path, signals: Sequence[Signal], *, cycles: int) -> None:
    """Record signals from now on, in the file ``path``. Called by a scenario, in the simulator.

    Parameters
    ----------
    path : :class:`~pathlib.Path`
        The file; complete once so many cycles are over, or after :func:`stop_recording`.
    signals : sequence of :class:`Signal`
        The model must have been built with them ``watched``.
    cycles : :class:`int`
        At most.

    Raises
    ------
    :exc:`ValueError`
        If there is no such signal, or the file cannot be written.
    """
    names = "\n".join(f"{_TOP}.{signal.instance} {signal.name}" for signal in signals)
    missing = ctypes.CDLL(None).blindvisor_record(
        str(path).encode(), b"harness.clk", names.encode(), ctypes.c_uint64(cycles)
    )
    if missing > 0:
        raise ValueError(f"a signal to record must be watched, and {signals[missing - 1]} is not")
    if missing < 0:
        raise ValueError(f"{path} must be a file that can be written")


def stop_recording() -> None:
    """End the recording, if it has not ended by itself."""
    ctypes.CDLL(None).blindvisor_stop_recording()


@dataclass(frozen=True)
class Recording:
    """What was recorded.

    Members
    -------
    signals : tuple of :class:`Signal`
        In the order of their values.
    sizes : tuple of :class:`int`
        Bytes of each value.
    data : :class:`memoryview`
        All cycles, one behind the other.
    """

    signals: tuple[Signal, ...]
    sizes: tuple[int, ...]
    data: memoryview

    @classmethod
    def read(cls, path: Path) -> "Recording":
        """Return what is in a file."""
        content = path.read_bytes()
        head, _, _ = content.partition(b"\n\n")
        lines = [line.split() for line in head.decode().splitlines()]
        signals = tuple(Signal(scope.removeprefix(f"{_TOP}."), name) for _, scope, name in lines)
        sizes = tuple(int(line[0]) for line in lines)
        data = memoryview(content)[len(head) + 2 :]
        return cls(signals, sizes, data[: len(data) // sum(sizes) * sum(sizes)])

    def __len__(self) -> int:
        """Return the cycles."""
        return len(self.data) // sum(self.sizes)

    def cut(self, first: int, last: int | None = None) -> "Recording":
        """Return the cycles from ``first`` to before ``last``."""
        size = sum(self.sizes)
        end = None if last is None else last * size
        return Recording(self.signals, self.sizes, self.data[first * size : end])

    def values(self, signal: Signal) -> Iterator[int]:
        """Yield a signal's value in each cycle."""
        place = self.signals.index(signal)
        start, size = sum(self.sizes[:place]), self.sizes[place]
        for at in range(start, len(self.data), sum(self.sizes)):
            yield int.from_bytes(self.data[at : at + size], "little")

    def digest(self) -> str:
        """Return a hash of all values in all cycles."""
        return hashlib.sha256(self.data).hexdigest()

    def first_difference(self, other: "Recording") -> Difference | None:
        """Return where this and another recording of the same signals differ first.

        The longer one is compared as far as the other goes.

        Raises
        ------
        :exc:`ValueError`
            If the signals are not the same.
        """
        if (self.signals, self.sizes) != (other.signals, other.sizes):
            raise ValueError("recordings must be of the same signals to be compared")
        low, high = 0, min(len(self), len(other))
        size = sum(self.sizes)
        if self.data[: high * size] == other.data[: high * size]:
            return None
        while high - low > 1:  # the first difference is in a cycle from low on, before high
            middle = (low + high) // 2
            if self.data[low * size : middle * size] == other.data[low * size : middle * size]:
                low = middle
            else:
                high = middle
        for signal in self.signals:
            left = next(self.cut(low, low + 1).values(signal))
            right = next(other.cut(low, low + 1).values(signal))
            if left != right:
                return Difference(low, signal, left, right)
        raise AssertionError("two records that differ must differ in a signal")
