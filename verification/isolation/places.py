# SPDX-License-Identifier: Apache-2.0
"""Where victims are put, and how attackers fill the rest of the mesh."""

import random

from blindvisor.hdl.config import MachineConfig

__all__ = ["Rectangle", "clusters", "corners", "fill"]

Rectangle = tuple[int, int, int, int]
"""x, y, width, height."""


def clusters(config: MachineConfig, at: Rectangle) -> list[int]:
    """Return the indices of a rectangle's clusters, row by row."""
    x, y, width, height = at
    return [(y + j) * config.width + x + i for j in range(height) for i in range(width)]


def corners(config: MachineConfig, width: int, height: int) -> list[Rectangle]:
    """Return a corner of the mesh, its middle and the opposite corner, each once."""
    right, down = config.width - width, config.height - height
    places = [(0, 0), (right // 2, down // 2), (right, down)]
    return [(x, y, width, height) for x, y in dict.fromkeys(places)]


def fill(config: MachineConfig, victim: Rectangle, rng: random.Random) -> list[Rectangle]:
    """Return rectangles that cover as much of the rest of the mesh as there are VM slots."""
    free = set(range(config.clusters)) - set(clusters(config, victim))
    found: list[Rectangle] = []
    for shapes in ([(2, 2), (4, 1), (1, 4)], [(2, 1), (1, 2)], [(1, 1)]):
        order = [
            (n % config.width, n // config.width, width, height)
            for n in range(config.clusters)
            for width, height in shapes
        ]
        rng.shuffle(order)
        for at in order:
            x, y, width, height = at
            if len(found) == config.vms - 1:
                return found
            if x + width <= config.width and y + height <= config.height:
                wanted = set(clusters(config, at))
                if wanted <= free:
                    free -= wanted
                    found.append(at)
    return found
