# SPDX-License-Identifier: Apache-2.0
"""Proofs of the loader's parts."""

from blindvisor.verification.formal.engine_spec import EngineSpec
from blindvisor.verification.formal.hash_spec import HashSpec
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.formal.savenumber_spec import SaveNumberSpec

__all__ = ["LOADER_PROOFS"]

LOADER_PROOFS = (
    Proof(
        name="save-number",
        promises=("P7",),
        spec=SaveNumberSpec,
        engine=Engine.INDUCTION,
        steps=2,
        base_steps=4,
        cover_steps=6,
        seconds=60,
        controls=("save-number-twice", "save-number-unasked"),
    ),
    Proof(
        name="loader-engine",
        promises=("P7",),
        spec=EngineSpec,
        cover_steps=60,
        seconds=300,
        controls=("cipher-time-of-key",),
        large=True,
    ),
    Proof(
        name="hash",
        promises=("P7",),
        spec=HashSpec,
        engine=Engine.INDUCTION,
        base_steps=20,
        controls=("hash-time-of-data", "hash-kept"),
    ),
)
