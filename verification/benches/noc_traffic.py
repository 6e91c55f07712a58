# SPDX-License-Identifier: Apache-2.0
"""Random packets, and a checker that knows where each one has to come out."""

import random
from collections import defaultdict, deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from blindvisor.hdl.noc.packets import FLIT, REQUEST_HEAD

__all__ = ["Packet", "Scoreboard", "coin", "random_packet", "way_out"]

Coordinates = tuple[int, int]


def coin(rng: random.Random, chance: float) -> Iterator[bool]:
    """Endless stream of pauses."""
    while True:
        yield rng.random() < chance


def way_out(entry: str, here: Coordinates, to: Coordinates) -> str | None:
    """Return the port that a packet leaves router ``here`` by, or None if it must be swallowed.

    First along the row, then along the column; never back, and never from column to row.
    """
    if to[0] != here[0]:
        port = "east" if to[0] > here[0] else "west"
        if entry in ("north", "south"):
            return None
    elif to[1] != here[1]:
        port = "south" if to[1] > here[1] else "north"
    else:
        port = "local"
    return None if port == entry else port


@dataclass(frozen=True)
class Packet:
    """One packet, as the words (layout FLIT) that travel."""

    source: Coordinates
    destination: Coordinates
    words: tuple[int, ...]


def random_packet(
    rng: random.Random, source: Coordinates, destination: Coordinates, length: int
) -> Packet:
    """Return a packet of ``length`` flits with random contents.

    Only the first flit looks like a head: the others may hold any destination.
    """
    head = REQUEST_HEAD.const(
        {
            "destination": {"x": destination[0], "y": destination[1]},
            "source": {"x": source[0], "y": source[1]},
        }
    )
    data = [head.as_value().value | rng.getrandbits(16) << 16]
    data += [rng.getrandbits(32) for _ in range(length - 1)]
    words = (FLIT.const({"data": d, "last": n == length - 1}) for n, d in enumerate(data))
    return Packet(source, destination, tuple(word.as_bits() for word in words))


class Scoreboard:
    """Every packet comes once, whole, unchanged, and in order for its source and exit.

    Anything else is an :exc:`AssertionError`.
    """

    def __init__(self) -> None:
        self._due: dict[tuple[Coordinates, Hashable], deque[Packet]] = defaultdict(deque)
        self._open: dict[Hashable, deque[int]] = {}
        self.packets = 0
        self.flits = 0

    def expect(self, packet: Packet, leaves_by: Hashable) -> None:
        """Note a packet that is about to be sent."""
        self._due[packet.source, leaves_by].append(packet)

    def saw(self, leaves_by: Hashable, word: int) -> None:
        """Check a flit that came out."""
        self.flits += 1
        if leaves_by not in self._open:
            source = REQUEST_HEAD.from_bits(word & 0xFFFF_FFFF).source
            due = self._due[(source.x, source.y), leaves_by]
            assert due, f"nothing from {(source.x, source.y)} is due at {leaves_by}: {word:#x}"
            self._open[leaves_by] = deque(due.popleft().words)
        rest = self._open[leaves_by]
        expected = rest.popleft()
        assert word == expected, f"{word:#x} at {leaves_by}, not {expected:#x}"
        if not rest:
            del self._open[leaves_by]
            self.packets += 1

    @property
    def outstanding(self) -> int:
        """Packets that have not come out as a whole."""
        return sum(map(len, self._due.values())) + len(self._open)
