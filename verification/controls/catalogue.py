# SPDX-License-Identifier: Apache-2.0
"""All planted faults. Names of attacks that each must let through: the attacks' own ``controls``."""

from blindvisor.verification.controls.clusters import CLUSTER_FAULTS
from blindvisor.verification.controls.iocluster import IOCLUSTER_FAULTS
from blindvisor.verification.controls.plant import Fault

__all__ = ["FAULTS"]

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*CLUSTER_FAULTS, *IOCLUSTER_FAULTS)}
"""By name."""
