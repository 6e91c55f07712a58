# SPDX-License-Identifier: Apache-2.0
"""cocotb bench: cycles of whole loads, at any rate of the engine.

``LOADER_RATE_SHARE`` in the environment is the least share of the lane's limit, in percent.
"""

import os
from typing import Any

import cocotb

from blindvisor.verification.benches.gcm import tell
from blindvisor.verification.benches.loader import CONFIG, Vm, check_loaded, make_image, start

__all__ = ["LANE_CYCLES", "RECTANGLES"]

LANE_CYCLES = 2
"""The monitor lane takes a command, so a word, every second cycle."""

RECTANGLES = ((1, 1), (2, 2))
"""Sizes of the VMs whose memory is filled to the last word."""


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def whole_loads_are_timed(dut: Any) -> None:
    """Loads that fill their clusters: from start to done, header, keys and tag included."""
    rig, rng = await start(dut)
    least = float(os.environ.get("LOADER_RATE_SHARE") or 0)
    for width, height in RECTANGLES:
        vm = Vm(x=1, y=0, width=width, height=height)
        image, memories = make_image(rng, vm, rig.root_key, size=CONFIG.memory_bytes)
        outcome = await rig.load(image, vm, deadline=1_000_000)
        check_loaded(outcome, vm, memories)
        contents = sum(map(len, memories))
        limit = LANE_CYCLES * contents // 4
        tell(
            "load",
            clusters=width * height,
            contents=contents,
            image=len(image),
            cycles=outcome.cycles,
            limit=limit,
        )
        share = 100 * limit / outcome.cycles
        cocotb.log.info("%d cycles, lane's limit %d: %.1f %%", outcome.cycles, limit, share)
        assert share >= least
