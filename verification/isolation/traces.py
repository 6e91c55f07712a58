# SPDX-License-Identifier: Apache-2.0
"""What recordings of a VM's cores tell: how long it ran, and what each kind of access took."""

from collections import defaultdict
from collections.abc import Iterable
from math import log2
from typing import Any

from blindvisor.hdl.abi import OWN_CLUSTER, REGISTER_OFFSET, WINDOW_OFFSET, ChannelRegister
from blindvisor.sim.recording import Recording, Signal

__all__ = ["accesses", "information", "launched", "run_cycles"]


def launched(recording: Recording) -> Recording:
    """Return a recording from the first cycle on in which its first core is out of reset.

    Raises
    ------
    :exc:`ValueError`
        If it never is.
    """
    reset = Signal(recording.signals[0].instance, "reset")
    for cycle, value in enumerate(recording.values(reset)):
        if not value:
            return recording.cut(cycle)
    raise ValueError("a recording must be of a VM that is started")


def run_cycles(recording: Recording) -> int:
    """Return the cycles from launch to the last byte that the VM's first core wrote to its TTY.

    Raises
    ------
    :exc:`ValueError`
        If it wrote none.
    """
    data = ((OWN_CLUSTER << 24) + WINDOW_OFFSET + ChannelRegister.DATA.value) >> 2
    last = None
    for cycle, (asks, write, address, ack) in enumerate(
        _bus(recording, recording.signals[0].instance, "dbus", ("stb", "we", "adr", "ack"))
    ):
        if asks and write and ack and address == data:
            last = cycle
    if last is None:
        raise ValueError("a recording must be of a guest that writes to its TTY")
    return last + 1


def accesses(recording: Recording, width: int) -> dict[str, dict[str, Any]]:
    """Return, by kind of access, how many there were and what they took.

    Parameters
    ----------
    recording : :class:`~blindvisor.sim.recording.Recording`
        From the launch on; of one core per cluster, clusters row by row.
    width : :class:`int`
        Of the VM.

    Returns
    -------
    :class:`dict`
        ``count``, ``least``, ``mean``, ``most``: cycles from the first one in which the core asks
        to the one in which it has the answer, both counted.
    """
    found: defaultdict[str, list[int]] = defaultdict(list)
    for place, instance in enumerate(dict.fromkeys(s.instance for s in recording.signals)):
        here = place % width, place // width
        for bus in ("ibus", "dbus"):
            began = None
            for cycle, (asks, address, ack, error) in enumerate(
                _bus(recording, instance, bus, ("stb", "adr", "ack", "err"))
            ):
                if not asks:
                    began = None
                    continue
                began = cycle if began is None else began
                if ack or error:
                    kind = "fetch" if bus == "ibus" else _kind(address << 2, here)
                    found[kind].append(cycle + 1 - began)
                    began = None
    return {
        kind: {
            "count": len(times),
            "least": min(times),
            "mean": sum(times) / len(times),
            "most": max(times),
        }
        for kind, times in sorted(found.items())
    }


def _bus(
    recording: Recording, instance: str, bus: str, names: Iterable[str]
) -> Iterable[tuple[int, ...]]:
    values = (recording.values(Signal(instance, f"{bus}__{name}")) for name in names)
    return zip(*values, strict=True)


def _kind(address: int, here: tuple[int, int]) -> str:
    x, y, offset = address >> 28, address >> 24 & 15, address & 0xFF_FFFF
    if address >> 24 == OWN_CLUSTER or (x, y) == here:
        if offset >= WINDOW_OFFSET:
            return "I/O channel"
        return "own registers" if offset >= REGISTER_OFFSET else "own memory"
    hops = abs(x - here[0]) + abs(y - here[1])
    return f"cluster {hops} hop{'s' if hops > 1 else ''} away"


def information(bits: Iterable[int], seen: Iterable[int]) -> float:
    """Return how many bits an observation tells of the bit that was sent (mutual information).

    Exact for what was observed; with each bit sent once as it is and once inverted under the same
    conditions it is 0 if and only if the observations are the same both times in their frequencies.
    """
    pairs: defaultdict[tuple[int, int], int] = defaultdict(int)
    for pair in zip(bits, seen, strict=True):
        pairs[pair] += 1
    total = sum(pairs.values())
    by_bit: defaultdict[int, int] = defaultdict(int)
    by_seen: defaultdict[int, int] = defaultdict(int)
    for (bit, value), count in pairs.items():
        by_bit[bit] += count
        by_seen[value] += count
    return sum(
        count / total * log2(count * total / (by_bit[bit] * by_seen[value]))
        for (bit, value), count in pairs.items()
    )
