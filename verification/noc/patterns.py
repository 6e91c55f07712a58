# SPDX-License-Identifier: Apache-2.0
"""Who sends to whom, and what no X-first mesh could carry more of."""

from collections import defaultdict
from collections.abc import Callable, Iterator

__all__ = ["PATTERNS", "Weights", "bound", "hops", "hot_spot", "neighbour", "transpose", "uniform"]

Weights = list[list[float]]
"""How often cluster (row) sends to cluster (column). A row adds up to 1, or to 0: it is silent."""

HOT = 0.1
"""Part of all packets that goes to the hot spot, beside its share of the others."""


def uniform(width: int, height: int) -> Weights:
    """To every other cluster alike."""
    count = width * height
    return [[0.0 if a == b else 1 / (count - 1) for b in range(count)] for a in range(count)]


def transpose(width: int, height: int) -> Weights:
    """From (x, y) to (y, x); the diagonal is silent.

    Raises
    ------
    :exc:`ValueError`
        If the mesh is not square.
    """
    if width != height:
        raise ValueError(f"transpose traffic needs a square mesh, not {width} x {height}")
    goals = [x * width + y for y in range(height) for x in range(width)]
    return [[float(b == goal != a) for b in range(len(goals))] for a, goal in enumerate(goals)]


def hot_spot(width: int, height: int) -> Weights:
    """A tenth of all packets to the cluster in the middle, the others as in :func:`uniform`."""
    spot = height // 2 * width + width // 2
    rows = uniform(width, height)
    for sender, row in enumerate(rows):
        if sender != spot:
            row[:] = [(1 - HOT) * part + HOT * (goal == spot) for goal, part in enumerate(row)]
    return rows


def neighbour(width: int, height: int) -> Weights:
    """To each cluster next to the sender alike."""
    rows = []
    for a in range(width * height):
        near = [b for b in range(width * height) if hops(width, a, b) == 1]
        rows.append([(b in near) / len(near) for b in range(width * height)])
    return rows


PATTERNS: dict[str, Callable[[int, int], Weights]] = {
    "uniform random": uniform,
    "transpose": transpose,
    "hot-spot": hot_spot,
    "neighbour": neighbour,
}
"""By the name that tables and plots give them."""


def hops(width: int, a: int, b: int) -> int:
    """Return the links between the routers of two clusters."""
    return abs(a % width - b % width) + abs(a // width - b // width)


def bound(width: int, weights: Weights) -> float:
    """Return the flits per sending cluster and cycle at which the busiest link is always busy.

    Links are those between routers, X first, and those from and to the clusters. Under uniform
    random traffic this is the bisection capacity ``4 K (N - 1) / N^2`` of a K x K mesh with even K.
    """
    load: defaultdict[tuple[object, object], float] = defaultdict(float)
    for sender, row in enumerate(weights):
        for goal, part in enumerate(row):
            for link in _way(width, sender, goal) if part else ():
                load[link] += part
    return 1 / max(load.values())


def _way(width: int, a: int, b: int) -> Iterator[tuple[object, object]]:
    yield "from", a
    x, y = a % width, a // width
    while (x, y) != (b % width, b // width):
        here = x, y
        if x != b % width:
            x += 1 if x < b % width else -1
        else:
            y += 1 if y < b // width else -1
        yield here, (x, y)
    yield b, "to"
