# SPDX-License-Identifier: Apache-2.0
"""The tables of docs/boards.md are what its figures make, and figures come from reports."""

import json
from pathlib import Path

import pytest

from blindvisor.fpga import page

REPORT = {
    "device": "LFE5U-45F",
    "machine": "machine 1 x 2",
    "used": {"lut4": 1000, "ff": 20, "ebr": 3, "dsp": 0},
    "there": {"lut4": 4000, "ff": 200, "ebr": 6, "dsp": 0},
    "blocks": {
        "tile_0_0": {"lut4": 100},
        "tile_0_0.smmu": {"lut4": 300},
        "tile_0_1.smmu": {"lut4": 301},
        "iocluster.loader": {"lut4": 200},
        "bridge": {"lut4": 60},
        "bridge.crc": {"lut4": 40},
    },
    "clocks": [{"name": "clk", "mhz": 41.26, "wanted_mhz": 40.0}],
    "path": ["first", "middle", "last"],
    "bitstream": "top.bit",
    "stages": [
        {
            "stage": "synthesis",
            "run": {"seconds": 9.0, "cpu_seconds": 8.6, "peak_mb": 70},
            "tool": "Yosys 0.70 (git sha1 28ba3cb92, Release)",
        }
    ],
}


def test_committed_tables_are_what_the_figures_make():
    text = page.PAGE.read_text()
    figures = json.loads(page.FIGURES.read_text())
    assert page.render(text, figures) == text, "run blindvisor boards --table"


def test_a_report_becomes_a_row_and_a_column(tmp_path: Path):
    (tmp_path / "ulx3s_45f").mkdir()
    (tmp_path / "ulx3s_45f" / "report_blocks.json").write_text(json.dumps(REPORT))
    figures = page.collect({"builds": {}, "blocks": {}}, tmp_path)
    built = figures["builds"]["ulx3s_45f"]
    assert built["stages"]["synthesis"]["tool"] == "yosys 0.70"
    assert built["path"] == ["first", "last"]
    text = page.render(page.PAGE.read_text(), figures)
    assert (
        "| `ulx3s_45f` | LFE5U-45F | machine 1 x 2 | 1,000 (25 %) | 20 (10 %) | 3 (50 %) |"
        " 41.3 (40) | 9 s CPU, 70 MB | - | yes |"
    ) in text
    assert "| `hx8k` | iCE40HX8K | fabric 2 x 1 | not built |" in text
    for line in (
        "cluster | 350",
        "cluster: smmu | 300",
        "I/O cluster: loader | 200",
        "board | 100",
    ):
        assert f"| {line} |" in text, line


def test_what_others_built_stays(tmp_path: Path):
    known = {"builds": {"hx8k": {"machine": "fabric 2 x 1"}}, "blocks": {"SMMU": {}}}
    assert page.collect(known, tmp_path) == known


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="must have the marks <!-- builds -->"):
        page.render("# Boards\n", {"builds": {}, "blocks": {}})
