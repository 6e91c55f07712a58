# SPDX-License-Identifier: Apache-2.0
"""Proofs of the loader's parts."""

from blindvisor.verification.formal.engine_spec import EngineSpec
from blindvisor.verification.formal.proof import Proof

__all__ = ["LOADER_PROOFS"]

LOADER_PROOFS = (
    Proof(
        name="loader-engine",
        promises=("P7",),
        spec=EngineSpec,
        cover_steps=60,
        seconds=300,
        controls=("cipher-time-of-key",),
        large=True,
    ),
)
