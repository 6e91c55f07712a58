# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""The flow without its tools: plans, what is kept, what does not fit, what is missing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from blindvisor.fpga import build as flow
from blindvisor.fpga.boards import BoardError, load_board
from blindvisor.fpga.clocking import PllError, ecp5_pll
from blindvisor.fpga.devices import FAMILIES, Usage, count_cells
from blindvisor.fpga.measure import ToolMissing
from blindvisor.fpga.report import block_of, block_usage, critical_path
from blindvisor.fpga.tools import ToolFailed, find_tool, run_tool
from blindvisor.hdl.config import ConfigurationError
from blindvisor.sw.cli.app import main

SCRIPT = """#!/bin/sh
[ "$1" = --version ] && { echo "Yosys 0.99"; exit 0; }
echo "ran $*" >> calls
echo '{"design": {"num_cells_by_type": {"LUT4": 5}}}' > cells.json
[ ! -e fail ] || { echo "ERROR: told to"; exit 1; }
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> flow.Plan:
    """A plan whose tools are a script that writes down its calls."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("yosys", "nextpnr-ecp5", "ecppack"):
        (tools / name).write_text(SCRIPT)
        (tools / name).chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tools / "python"))
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return flow.Plan(
        board=load_board("ulx3s_45f"),
        files={"top.il": "design", "top.lpf": "pins"},
        commands=[["yosys", "top.ys"], ["nextpnr-ecp5", "--seed", "1"], ["ecppack"]],
        seed=1,
    )


def _calls(folder: Path) -> int:
    return len((folder / "calls").read_text().splitlines())


def test_a_second_build_runs_nothing(plan: flow.Plan, tmp_path: Path):
    folder = tmp_path / "out"
    assert [stage.kept for stage in flow.build(plan, folder)] == [False] * 3
    assert [stage.kept for stage in flow.build(plan, folder)] == [True] * 3
    assert _calls(folder) == 3


def test_new_constraints_leave_the_synthesis(plan: flow.Plan, tmp_path: Path):
    folder = tmp_path / "out"
    flow.build(plan, folder)
    other = replace(plan, files=plan.files | {"top.lpf": "other pins"})
    assert [stage.kept for stage in flow.build(other, folder)] == [True, False, False]
    other = replace(plan, files=plan.files | {"top.il": "other design"})
    assert [stage.kept for stage in flow.build(other, folder)] == [False] * 3


def test_an_interrupted_build_goes_on(plan: flow.Plan, tmp_path: Path):
    folder = tmp_path / "out"
    flow.build(plan, folder, until="synthesis")
    (folder / "fail").touch()
    with pytest.raises(ToolFailed, match="ERROR: told to"):
        flow.build(plan, folder)
    (folder / "fail").unlink()
    assert [stage.kept for stage in flow.build(plan, folder)] == [True, False, False]


def test_what_does_not_fit_is_told_with_how_much_and_what_would():
    board = load_board("ulx3s_45f")
    flow.check_fit(board, Usage(lut4=43_848, ff=10, ebr=108))
    with pytest.raises(flow.DoesNotFit) as caught:
        flow.check_fit(board, Usage(lut4=43_849, ff=10, ebr=110))
    assert str(caught.value) == (
        "2 x 2 clusters do not fit on LFE5U-45F: it needs 43849 LUT4 of 43848 (1 too many),"
        " 110 block RAMs of 108 (2 too many). Try 2 x 1 (--config), or a larger board"
        " (blindvisor boards)"
    )


def test_missing_tool_is_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"^ecppack is not installed: pip install yowasp-next"):
        find_tool("ecppack")
    assert main(["build", "--board", "hx8k"]) == 3


def test_tool_that_fails_is_told_with_its_words(tmp_path: Path):
    with pytest.raises(ToolFailed, match=r"sh ended with exit code 3:\noops"):
        run_tool(["/bin/sh", "-c", "echo oops; exit 3"], tmp_path, log=tmp_path / "none")
    run = run_tool(["/bin/sh", "-c", "true"], tmp_path, log=tmp_path / "none")
    assert run.peak_mb >= 0


def test_unknown_board_and_machine_are_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(BoardError, match=r"board must be one of .*hx8k.*, not nothing"):
        load_board("nothing")
    assert main(["build", "--board", "nothing"]) == 2
    assert main(["build", "--board", "hx8k", "--config", "nowhere.toml"]) == 2
    assert "configuration must be one of" in capsys.readouterr().err


def test_machine_of_a_board_may_not_have_unknown_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    known = (Path(flow.__file__).parent / "descriptions" / "hx8k.toml").read_text()
    (tmp_path / "odd.toml").write_text(known + "speed = 3\n")
    monkeypatch.setattr("blindvisor.fpga.boards.BOARDS_FOLDER", tmp_path)
    with pytest.raises(ConfigurationError, match=r"machine of board odd: .*speed"):
        load_board("odd")
    (tmp_path / "odd.toml").write_text("speed = 3\n" + known)
    with pytest.raises(BoardError, match=r"board odd: .*speed"):
        load_board("odd")


def test_pll_makes_the_clock():
    dividers = ecp5_pll(25, 40)
    assert 25 * dividers["CLKFB_DIV"] / dividers["CLKI_DIV"] == 40
    assert 400 <= 40 * dividers["CLKOP_DIV"] <= 800
    with pytest.raises(PllError, match="no PLL setting makes 1 MHz of 25 MHz"):
        ecp5_pll(25, 1)


def test_cells_count_as_the_sites_they_take():
    cells = {"LUT4": 3, "CCU2C": 2, "TRELLIS_DPR16X4": 1, "TRELLIS_FF": 7, "DP16KD": 4, "X": 9}
    assert count_cells(FAMILIES["ecp5"], cells) == Usage(lut4=13, ff=7, ebr=4, dsp=0)


def test_cells_belong_to_the_block_in_their_name():
    assert block_of("board.machine.tile_0_0.smmu.lifecycle.state_Q", depth=2) == "tile_0_0.smmu"
    assert block_of("$flatten\\fabric.\\tile_1.$auto$1", depth=2) == "tile_1"
    assert block_of("board.machine.tile_0_0.interrupts$382.time_Q", depth=2) == (
        "tile_0_0.interrupts"
    )
    assert block_of("led_TRELLIS_FF_Q", depth=2) == "top"
    cells = {"fabric.tile_0.a_Q": {"type": "SB_DFF"}, "fabric.tile_0.b": {"type": "SB_LUT4"}}
    assert block_usage(cells, FAMILIES["ice40"], depth=1) == {"tile_0": Usage(lut4=1, ff=1)}


def test_slowest_path_is_told_in_the_designs_names():
    step = {"delay": 1.5, "type": "routing", "net": "tile_0.smmu.own", "to": {}}
    other = {"delay": 9.0, "type": "logic", "net": "", "to": {"cell": "c", "port": "D"}}
    timing = {
        "critical_paths": [
            {"from": "posedge clk", "to": "posedge clk", "path": [step, step]},
            {"from": "<async>", "to": "posedge clk", "path": [other]},
        ]
    }
    assert critical_path(timing) == [
        "   1.50 ns  routing   tile_0.smmu.own",
        "   3.00 ns  routing   tile_0.smmu.own",
    ]


@pytest.mark.parametrize("name", ["hx8k", "tangnano9k"])
def test_plan_has_constraints_and_commands(name: str, tmp_path: Path):
    """Written by the command, with no tool run."""
    assert main(["build", "--board", name, "--plan-only", "-o", str(tmp_path)]) == 0
    text = "".join(path.read_text() for path in tmp_path.glob("top.*cf")) + "".join(
        path.read_text() for path in tmp_path.glob("top.cst")
    )
    assert "uart_0__tx" in text
    assert not (tmp_path / "cells.json").exists()


def test_boards_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["boards", "--json"]) == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["hx8k"]["design"] == "fabric 2 x 1"
    assert listed["ulx3s_85f"]["device"] == "LFE5U-85F"
