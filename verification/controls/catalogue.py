# SPDX-License-Identifier: Apache-2.0
"""All planted faults. Whom each must get past is told by the ``controls`` of attacks and proofs."""

from blindvisor.verification.controls.calls import CALL_FAULTS
from blindvisor.verification.controls.clusters import CLUSTER_FAULTS
from blindvisor.verification.controls.iocluster import IOCLUSTER_FAULTS
from blindvisor.verification.controls.loader import LOADER_FAULTS
from blindvisor.verification.controls.parts import PART_FAULTS
from blindvisor.verification.controls.plant import Fault
from blindvisor.verification.controls.proofs import PROOF_FAULTS
from blindvisor.verification.controls.proofs_io import IO_PROOF_FAULTS
from blindvisor.verification.controls.proofs_loader import LOADER_PROOF_FAULTS

__all__ = ["FAULTS"]

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        *CLUSTER_FAULTS,
        *IOCLUSTER_FAULTS,
        *CALL_FAULTS,
        *PROOF_FAULTS,
        *IO_PROOF_FAULTS,
        *LOADER_PROOF_FAULTS,
        *LOADER_FAULTS,
        *PART_FAULTS,
    )
}
"""By name."""
