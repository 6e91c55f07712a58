# SPDX-License-Identifier: Apache-2.0
"""All proofs. Geometries are the shipped ones, or the smallest that has all corner cases."""

from blindvisor.hdl.smmu.egress import Egress
from blindvisor.hdl.smmu.ingress import Ingress
from blindvisor.hdl.smmu.lifecycle import Lifecycle
from blindvisor.verification.formal.egress_spec import EgressSpec
from blindvisor.verification.formal.ingress_spec import IngressSpec
from blindvisor.verification.formal.lifecycle_spec import LifecycleSpec
from blindvisor.verification.formal.proof import Proof
from blindvisor.verification.formal.proofs_io import IO_PROOFS
from blindvisor.verification.formal.proofs_loader import LOADER_PROOFS
from blindvisor.verification.formal.proofs_noc import NOC_PROOFS
from blindvisor.verification.formal.proofs_parts import PART_PROOFS
from blindvisor.verification.formal.proofs_tile import TILE_PROOFS

__all__ = ["PROOFS"]

PROOFS = {
    proof.name: proof
    for proof in (
        Proof(
            name="egress",
            promises=("P1", "P2", "P8", "P13"),
            spec=lambda: EgressSpec(Egress()),
            controls=(
                "egress-rectangle",
                "stamp-constant",
                "egress-own-cluster",
                "egress-unowned",
                "egress-body-forgotten",
                "egress-denial-unreported",
                "egress-delayed",
            ),
        ),
        Proof(
            name="ingress",
            promises=("P1", "P2", "P8", "P9", "P13"),
            spec=lambda: IngressSpec(Ingress()),
            controls=("ingress-owner", "ingress-nobody", "ingress-uncounted"),
        ),
        Proof(
            name="lifecycle",
            promises=("P3", "P5", "P6", "P8"),
            spec=lambda: LifecycleSpec(Lifecycle()),
            controls=(
                "claim-anything",
                "free-without-scrub",
                "scrub-before-drained",
                "power-on-clean",
                "freeze-resets",
                "broadcast-to-all",
                "resumed-kept",
            ),
        ),
        *NOC_PROOFS,
        *TILE_PROOFS,
        *IO_PROOFS,
        *LOADER_PROOFS,
        *PART_PROOFS,
    )
}
"""By name, in the order of the design's parts."""
