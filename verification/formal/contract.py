# SPDX-License-Identifier: Apache-2.0
"""The contract of the mesh's links: whose packets may be on which, by a VM's rectangle."""

from amaranth import Cat, Mux, Value
from amaranth.lib import data

from blindvisor.hdl.noc.packets import COORDINATES, REQUEST_HEAD

__all__ = ["HERE", "RECTANGLE", "STEPS", "inside", "keeps", "way", "within"]

HERE = (0, 0)

STEPS = {"north": (0, -1), "east": (1, 0), "south": (0, 1), "west": (-1, 0), "local": HERE}
"""Where the neighbours are."""

RECTANGLE = data.StructLayout({"first": COORDINATES, "last": COORDINATES})


def inside(rectangle: data.View, x: Value, y: Value) -> Value:
    """Whether a place, which may be outside of the mesh, is in the rectangle."""
    first, last = rectangle.first, rectangle.last
    return (x >= first.x) & (x <= last.x) & (y >= first.y) & (y <= last.y)


def within(rectangle: data.View, x: Value, y: Value, port: str) -> Value:
    """Whether both ends of a link of the router at (x, y) are in the rectangle."""
    step = STEPS[port]
    return inside(rectangle, x, y) & inside(rectangle, x + step[0], y + step[1])


def keeps(rectangle: data.View, x: Value, y: Value, port: str, word: Value, *, out: bool) -> Value:
    """Whether a packet with the head ``word`` may be on a link of the router at (x, y).

    If both ends of the link are in the rectangle, its destination must be in it too. If not, the
    rectangle around the router that it enters and its destination must not meet the VM's.

    Parameters
    ----------
    out : :class:`bool`
        Whether it leaves the router by this link, or enters it.
    """
    to = data.View(REQUEST_HEAD, word).destination
    step = STEPS[port] if out else HERE
    first, last = rectangle.first, rectangle.last
    clear = [
        (Mux(a < b, a, b) > high) | (Mux(a < b, b, a) < low)
        for a, b, low, high in (
            (x + step[0], to.x, first.x, last.x),
            (y + step[1], to.y, first.y, last.y),
        )
    ]
    return Mux(within(rectangle, x, y, port), inside(rectangle, to.x, to.y), Cat(clear).any())


def way(x: Value, y: Value, word: Value, by: dict[str, Value]) -> Value:
    """Return ``by`` of the port by which a packet with the head ``word`` leaves, X first."""
    to = data.View(REQUEST_HEAD, word).destination
    vertical = Mux(to.y > y, by["south"], Mux(to.y < y, by["north"], by["local"]))
    return Mux(to.x > x, by["east"], Mux(to.x < x, by["west"], vertical))
