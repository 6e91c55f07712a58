# SPDX-License-Identifier: Apache-2.0
"""Planted faults that only the proofs of single parts can see, or of how these are joined."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["PART_FAULTS"]

PART_FAULTS = (
    Fault(
        name="smmu-asks-late",
        promises=("P1",),
        breaks="a cluster that drains may still ask others",
        edits=(
            Edit(
                "smmu/smmu.py",
                "self.request_out, self.mesh_request_out, lifecycle.serve),",
                "self.request_out, self.mesh_request_out, alive),",
            ),
        ),
    ),
    Fault(
        name="header-reserved-unread",
        promises=("P6",),
        breaks="a reserved field of an image's header may hold anything",
        edits=(
            Edit(
                "loader/header.py",
                '("reserved_0", "reserved_1", "reserved_2", "reserved_3"), 0)',
                '("reserved_0", "reserved_1", "reserved_2"), 0)',
            ),
        ),
    ),
    Fault(
        name="writer-goes-on",
        promises=("P6", "P8"),
        breaks="words of an image are written after the load has failed",
        edits=(
            Edit(
                "loader/writer.py",
                "with m.If(free & (left != 0) & ~self.stop):",
                "with m.If(free & (left != 0)):",
            ),
        ),
    ),
    Fault(
        name="reader-asks-early",
        promises=("P6", "P8"),
        breaks="a word is asked for before the cluster has its address",
        edits=(
            Edit(
                "loader/reader.py",
                "with m.If(free & self.enable & ~addressing & (asked != 4)):",
                "with m.If(free & self.enable & (asked != 4)):",
            ),
        ),
    ),
)
"""In the order of the design's parts."""
