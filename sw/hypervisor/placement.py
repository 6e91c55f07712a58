# SPDX-License-Identifier: Apache-2.0
"""Where to put the next VM: the first rectangle of free clusters, row by row."""

from collections.abc import Collection

from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.errors import NoRoom

__all__ = ["first_fit"]


def first_fit(
    config: MachineConfig, free: Collection[tuple[int, int]], *, width: int, height: int
) -> tuple[int, int]:
    """Return ``(x, y)`` of the first rectangle whose clusters are all in ``free``.

    Parameters
    ----------
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        The machine.
    free : collection of ``(x, y)``
        Its free clusters.
    width, height : :class:`int`
        Size of the rectangle in clusters, 1 or more.

    Raises
    ------
    :exc:`ValueError`
        If the size is not positive.
    :exc:`~blindvisor.sw.hypervisor.errors.NoRoom`
        If there is none; the message shows what is free.
    """
    if width < 1 or height < 1:
        raise ValueError(f"a VM must be at least 1 x 1 clusters, not {width} x {height}")
    for y in range(config.height - height + 1):
        for x in range(config.width - width + 1):
            if all((x + i, y + j) in free for i in range(width) for j in range(height)):
                return x, y
    if width > config.width or height > config.height:
        why = f"the mesh is {config.width} x {config.height}"
    else:
        rows = (
            "".join(".#"[(x, y) not in free] for x in range(config.width))
            for y in range(config.height)
        )
        why = (
            f"{len(free)} of {config.clusters} clusters are free"
            f" (rows from y = 0, # in use: {' '.join(rows)})"
        )
    raise NoRoom(f"no free rectangle of {width} x {height} clusters: {why}")
