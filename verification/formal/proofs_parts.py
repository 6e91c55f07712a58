# SPDX-License-Identifier: Apache-2.0
"""Proofs of how the SMMU's parts are joined, and of what parts of the loader decide."""

from blindvisor.hdl.config import MachineConfig
from blindvisor.verification.formal.header_spec import HeaderSpec
from blindvisor.verification.formal.numbers_spec import NumbersSpec
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.formal.reader_spec import ReaderSpec
from blindvisor.verification.formal.smmu_spec import SmmuSpec
from blindvisor.verification.formal.writer_spec import WriterSpec

__all__ = ["PART_PROOFS"]

FOUR_CLUSTERS = MachineConfig(name="four-clusters", width=2, height=2, vms=2, memory_bytes=1024)

PART_PROOFS = (
    Proof(
        name="smmu",
        promises=("P1", "P3", "P8", "P10"),
        spec=lambda: SmmuSpec(FOUR_CLUSTERS),
        controls=("smmu-asks-late",),
    ),
    Proof(
        name="header-check",
        promises=("P6",),
        spec=lambda: HeaderSpec(FOUR_CLUSTERS),
        controls=("header-reserved-unread",),
    ),
    Proof(
        name="cluster-writer",
        promises=("P6", "P7", "P8"),
        spec=lambda: WriterSpec(FOUR_CLUSTERS),
        engine=Engine.INDUCTION,
        base_steps=8,
        controls=("writer-goes-on",),
    ),
    Proof(
        name="cluster-reader",
        promises=("P6", "P8"),
        spec=lambda: ReaderSpec(FOUR_CLUSTERS),
        engine=Engine.INDUCTION,
        base_steps=8,
        controls=("reader-asks-early",),
    ),
    Proof(
        name="save-numbers-all",
        promises=("P7", "P8"),
        spec=NumbersSpec,
        engine=Engine.INDUCTION,
        base_steps=4,
        cover_steps=6,
        controls=("save-number-twice", "save-number-unasked"),
    ),
)
"""In the order of the design's parts."""
