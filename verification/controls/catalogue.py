# SPDX-License-Identifier: Apache-2.0
"""All planted faults. Which attack each must let through is told by the attacks' ``controls``."""

from blindvisor.verification.controls.clusters import CLUSTER_FAULTS
from blindvisor.verification.controls.iocluster import IOCLUSTER_FAULTS
from blindvisor.verification.controls.plant import Fault

__all__ = ["FAULTS"]

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*CLUSTER_FAULTS, *IOCLUSTER_FAULTS)}
"""By name."""
