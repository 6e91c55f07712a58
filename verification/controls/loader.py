# SPDX-License-Identifier: Apache-2.0
"""Planted faults of the loader that proofs alone can see."""

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
    Fault(
        name="loader-address-tells",
        promises=("P7",),
        breaks="the command that gives a cluster its address holds a word of plaintext",
        edits=(
            Edit(
                "loader/writer.py",
                'LaneOp.ADDRESS, "named": 1}).as_value()\n',
                'LaneOp.ADDRESS, "named": 1}).as_value()\n| words[:32]\n',
            ),
        ),
    ),
    Fault(
        name="loader-waits-by-key",
        promises=("P7",),
        breaks="the loader goes on only with one half of all derived keys",
        edits=(
            Edit("loader/loader.py", "with m.If(kdf.done):", "with m.If(kdf.done & ~kdf.half[0]):"),
        ),
    ),
)
"""In the order of the design's parts."""
