# SPDX-License-Identifier: Apache-2.0
"""Makes a failing sequence short: delta debugging.

hypothesis shrinks what it generates itself, in as many runs as it likes; a run here costs seconds
of simulation, and what fails is data that a seed has made long before. So this is ddmin with a
budget of runs.

Source: A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE
Transactions on Software Engineering 28(2), 2002: algorithm ddmin, complements alone.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

__all__ = ["Budget", "shrink"]

Item = TypeVar("Item")


class Budget:
    """Runs and seconds that may be spent.

    Parameters
    ----------
    runs : :class:`int`
        How often a candidate may be tried.
    seconds : :class:`float`
        Wall-clock time after which no further one is begun.
    """

    def __init__(self, *, runs: int = 120, seconds: float = 300.0) -> None:
        self.left = runs
        self._end = time.monotonic() + seconds

    def take(self) -> bool:
        """Use one run; False if there is none left."""
        if self.left <= 0 or time.monotonic() > self._end:
            return False
        self.left -= 1
        return True


def shrink(
    items: Sequence[Item],
    fails: Callable[[list[Item]], bool],
    *,
    budget: Budget,
    simpler: Callable[[Item], Iterable[Item]] | None = None,
) -> list[Item]:
    """Return a part of ``items`` that still fails, each item as simple as possible.

    Parameters
    ----------
    items : sequence
        What fails as a whole.
    fails : callable
        Whether a candidate fails too.
    budget : :class:`Budget`
        If it is used up, what is shortest until then is returned.
    simpler : callable or None
        Gives simpler replacements of an item, best first; None: there are none.
    """
    shortest = list(items)
    parts = 2
    while len(shortest) > 1:
        size = -(-len(shortest) // parts)
        for at in range(0, len(shortest), size):
            candidate = shortest[:at] + shortest[at + size :]
            if not budget.take():
                return shortest
            if candidate and fails(candidate):
                shortest, parts = candidate, max(parts - 1, 2)
                break
        else:
            if parts >= len(shortest):
                break
            parts = min(2 * parts, len(shortest))
    for at in range(len(shortest)):
        for other in simpler(shortest[at]) if simpler is not None else ():
            candidate = [*shortest[:at], other, *shortest[at + 1 :]]
            if not budget.take():
                return shortest
            if fails(candidate):
                shortest = candidate
                break
    return shortest
