# SPDX-License-Identifier: Apache-2.0
"""The table of blocks, with tools that only pretend."""

import json
from pathlib import Path

import pytest

from blindvisor.fpga import blocks
from blindvisor.fpga.measure import measure


def test_blocks_are_measured_and_told_beside_targets_and_peers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cells = {"LUT4": 1000, "CCU2C": 10, "TRELLIS_DPR16X4": 5, "TRELLIS_FF": 7, "DP16KD": 1}

    def run(command: list[str], folder: Path) -> None:
        stat = {"design": {"num_cells_by_type": cells}}
        (folder / "stat.json").write_text(json.dumps(stat))
        (folder / "report.json").write_text(json.dumps({"fmax": {"clk": {"achieved": 90.04}}}))

    wanted = ("router", "scrubber")
    monkeypatch.setattr(blocks, "BLOCKS", [b for b in blocks.BLOCKS if b.name in wanted])
    monkeypatch.setattr(
        blocks, "measure", lambda *given, **named: measure(*given, cache=tmp_path, **named)
    )
    seen: list[str] = []
    text = blocks.render_blocks(blocks.measure_blocks(step=seen.append, run=run))
    assert seen == ["router", "scrubber"]
    assert "| router | 1,000 | 1,050 | 7 | 1 | 90.0 | 1,200 LUTeq, 85 MHz |" in text
    assert "| scrubber | 1,000 | 1,050 | 7 | 1 | - | - |" in text
    assert text.count("| peer: ") == len(blocks.PEERS)
