# SPDX-License-Identifier: Apache-2.0
"""Proofs of the mesh's router."""

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.hdl.noc.router import Router
from blindvisor.verification.formal.confined_spec import ConfinedSpec
from blindvisor.verification.formal.mesh_pair_spec import MeshPairSpec
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.formal.router_pair_spec import RouterPairSpec
from blindvisor.verification.formal.router_spec import RouterSpec

__all__ = ["NOC_PROOFS"]

NOC_PROOFS = (
    *(
        Proof(
            name=f"router-pair-{depth}",
            promises=("P5", "P12"),
            spec=lambda depth=depth: RouterPairSpec(fifo_depth=depth),
            engine=Engine.INDUCTION,
            base_steps=8 if depth == 2 else 1,
            seconds=900,
            controls=(
                "router-one-at-a-time",
                "router-shared-lock",
                "router-waits-for-all",
                "router-order-kept",
            )
            if depth == 2
            else (),
            large=depth > 2,
        )
        for depth in (2, 16)
    ),
    Proof(
        name="router-data",
        promises=("P12",),
        spec=lambda: RouterPairSpec(fifo_depth=2, secret_data=True),
        engine=Engine.INDUCTION,
        base_steps=8,
        controls=("router-looks-at-data",),
    ),
    *(
        Proof(
            name=f"router-confined-{depth}",
            promises=("P12",),
            spec=lambda depth=depth: ConfinedSpec(fifo_depth=depth),
            engine=Engine.INDUCTION,
            base_steps=8 if depth == 2 else 1,
            seconds=900,
            controls=("router-misroutes", "router-interleaves", "router-routes-bodies")
            if depth == 2
            else (),
            large=depth > 2,
        )
        for depth in (2, 16)
    ),
    Proof(
        name="mesh-pair",
        promises=("P12",),
        spec=lambda: MeshPairSpec(CONFIGURATIONS["reference"]),
        engine=Engine.INDUCTION,
        base_steps=3,
        cover_steps=4,
        seconds=600,
        controls=("mesh-places-swapped", "mesh-diagonal", "mesh-waits-together"),
        large=True,
    ),
    Proof(
        name="router",
        promises=("P2", "P8", "P12"),
        spec=lambda: RouterSpec(Router(fifo_depth=2)),
        cover_steps=30,
        seconds=600,
        controls=(
            "fifo-overrun",
            "fifo-forgets",
            "router-interleaves",
            "router-misroutes",
            "router-unfair",
            "router-blocks",
            "router-routes-bodies",
        ),
        large=True,
    ),
)
"""Two domains, what a router looks at, and what it does."""
