# SPDX-License-Identifier: Apache-2.0
"""Planted faults of the loader that proofs alone can see: time that depends on secrets."""

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
        name="wrong-tag-late",
        promises=("P7",),
        breaks="the engine waits for ever with a tag whose first bit is wrong",
        edits=(
            Edit(
                "loader/gcm.py",
                "                with m.If(ghash.ready):\n"
                "                    m.d.sync += [mask.eq(",
                "                with m.If(ghash.ready & ~(ghash.hash ^ mask ^ given.data)[0]):\n"
                "                    m.d.sync += [mask.eq(",
            ),
        ),
    ),
)
"""In the order of the design's parts."""
