# SPDX-License-Identifier: Apache-2.0
"""The two routers of a cluster, between the links to its neighbours and its SMMU."""

from typing import Any

from amaranth import Module
from amaranth.lib.wiring import connect, flipped

from blindvisor.hdl.noc.router import Router
from blindvisor.hdl.smmu.smmu import Smmu

__all__ = ["NETWORKS", "SIDES", "add_routers"]

SIDES = ("north", "east", "south", "west")
NETWORKS = ("request", "response")


def add_routers(m: Module, tile: Any, smmu: Smmu, *, fifo_depth: int) -> None:
    """Add the routers to a tile's module and connect them.

    Parameters
    ----------
    tile
        Has ``position`` and, for each of :data:`NETWORKS` and :data:`SIDES`, the links
        ``NETWORK_SIDE_in`` and ``NETWORK_SIDE_out``.
    smmu : :class:`Smmu`
        Where packets of the cluster come from and go to. While it has the memory zeroed, the
        routers forget whom they served last (P5, P12).
    fifo_depth : :class:`int`
        Flits in each input's queue.
    """
    for number, (network, inward, outward) in enumerate(
        (
            ("request", smmu.mesh_request_in, smmu.mesh_request_out),
            ("response", smmu.mesh_response_in, smmu.mesh_response_out),
        )
    ):
        router = Router(fifo_depth=fifo_depth)
        m.submodules[f"{network}_router"] = router
        m.d.comb += [
            router.x.eq(tile.position.x),
            router.y.eq(tile.position.y),
            router.clear.eq(smmu.zero),
            smmu.dropped[number].eq(router.dropped),
        ]
        connect(m, outward, router.local_in)
        connect(m, router.local_out, inward)
        for side in SIDES:
            link = f"{network}_{side}"
            connect(m, flipped(getattr(tile, f"{link}_in")), getattr(router, f"{side}_in"))
            connect(m, getattr(router, f"{side}_out"), flipped(getattr(tile, f"{link}_out")))
