# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""What synthesis must leave and must not add, each with a netlist for which the check fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from blindvisor.fpga.checks import NO_LATCH, PROTECTION, check_netlist, delayed_paths
from blindvisor.fpga.devices import FAMILIES
from blindvisor.fpga.netlist import block_ram
from blindvisor.fpga.tools import ToolFailed, find_tool, run_tool
from blindvisor.hdl.cluster.memory import ClusterMemory
from blindvisor.hdl.cluster.tile import Tile
from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.hdl.smmu.smmu import Smmu

pytestmark = pytest.mark.formal

ECP5 = FAMILIES["ecp5"]
CONFIG = CONFIGURATIONS["single"]
MEMORY_RAMS = CONFIG.memory_bytes // 2048  # a block RAM has 16 Kibit without parity


MAPPED = "synth_ecp5 -run begin:map_luts -top top; blackbox =A:whitebox"
"""All but LUTs, which take most of the time; the last command is synth_ecp5's own, at its end."""


def _yosys(folder: Path, text: str, script: str, *, ending: str = "il") -> dict[str, Any]:
    """Run a script on a design; return its module ``top``."""
    (folder / f"top.{ending}").write_text(text)
    read = "read_rtlil" if ending == "il" else "read_verilog"
    steps = f"{read} top.{ending}; hierarchy -top top; {script}; write_json top.json"
    (folder / "top.ys").write_text(steps.replace("; ", "\n") + "\n")
    run_tool(
        [find_tool("yosys").path, "-q", "-l", "top.rpt", "top.ys"], folder, log=folder / "top.rpt"
    )
    return json.loads((folder / "top.json").read_text())["modules"]["top"]


def _rtlil(component: Any) -> str:
    return rtlil.convert(component, name="top", emit_src=False)


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tile, mapped to everything but LUTs."""
    text = block_ram(_rtlil(Tile(CONFIG)), write_ports=1)
    script = f"{NO_LATCH}; {MAPPED}"
    return _yosys(tmp_path_factory.mktemp("tile"), text, script)


def test_tile_has_its_memory_in_block_ram_its_protection_and_no_multiplier(tile: dict[str, Any]):
    assert check_netlist(tile, ECP5, multiply=False, memory_rams=MEMORY_RAMS) == []


def test_protection_that_was_optimized_away_is_found(tile: dict[str, Any]):
    """Each register of the list in turn: the same netlist without its flip-flops."""
    for register, least in PROTECTION.items():
        gone = set(tile["netnames"][register]["bits"])
        cells = {
            name: cell
            for name, cell in tile["cells"].items()
            if not (cell["type"] == "TRELLIS_FF" and gone & set(cell["connections"]["Q"]))
        }
        wrong = check_netlist(
            tile | {"cells": cells}, ECP5, multiply=False, memory_rams=MEMORY_RAMS
        )
        assert wrong == [f"protection: 0 flip-flops of {register}, not {least}"]


def test_memory_that_does_not_fit_block_ram_is_found(tmp_path: Path):
    """As RTL has it, the memory needs block RAM twice: once for each read port."""
    text = _rtlil(ClusterMemory(words=CONFIG.memory_words))
    for number, (source, rams) in enumerate(
        ((block_ram(text, write_ports=1), MEMORY_RAMS), (text, 2 * MEMORY_RAMS))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        cells = _yosys(folder, source, MAPPED)["cells"]
        assert sum(cell["type"] == "DP16KD" for cell in cells.values()) == rams
    assert block_ram(text, write_ports=1).count("meminit") == 0


def test_multiplier_is_found(tmp_path: Path):
    source = "module top(input [17:0] a, b, output [35:0] y); assign y = a * b; endmodule\n"
    cells = _yosys(tmp_path, source, MAPPED, ending="v")["cells"]
    wrong = check_netlist(cells, ECP5, multiply=False, memory_rams=0)
    assert wrong[0] == "multiplier: 1 without an instruction that multiplies"
    assert "multiplier" not in " ".join(check_netlist(cells, ECP5, multiply=True, memory_rams=0))


def test_latch_is_found(tmp_path: Path):
    source = "module top(input e, d, output reg q); always @* if (e) q = d; endmodule\n"
    with pytest.raises(ToolFailed, match="selection is not empty"):
        _yosys(tmp_path, source, NO_LATCH, ending="v")


def test_no_flip_flop_is_in_a_packet_path_of_the_synthesized_smmu(tmp_path: Path):
    """P13 after mapping to LUTs. The control is the same netlist with one LUT made a register."""
    module = _yosys(tmp_path, _rtlil(Smmu(CONFIG)), "synth_ecp5 -nowidelut -top top")
    assert delayed_paths(module, ECP5) == []
    bit = module["ports"]["mesh_request_out__valid"]["bits"][0]
    driver = next(
        cell
        for cell in module["cells"].values()
        if bit in cell["connections"].get("Z", ()) and cell["type"] == "LUT4"
    )
    driver["type"] = "TRELLIS_FF"
    assert "request_out to mesh_request_out: valid" in delayed_paths(module, ECP5)
