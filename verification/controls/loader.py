# SPDX-License-Identifier: Apache-2.0
"""Planted faults of the loader's engine that proofs alone can see."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["LOADER_FAULTS"]

LOADER_FAULTS = (
    Fault(
        name="cipher-time-of-key",
        promises=("P7",),
        breaks="the cipher takes a round less with one half of all keys",
        edits=(
            Edit(
                "loader/aes.py",
                "left.eq(Mux(self.short, ROUNDS_128 + 1, ROUNDS_256)),",
                "left.eq(Mux(self.short, ROUNDS_128 + 1, ROUNDS_256) - self.key[0]),",
            ),
        ),
    ),
)
"""In the order of the design's parts."""
