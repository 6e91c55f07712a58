# SPDX-License-Identifier: Apache-2.0
"""P5 of the smaller core, by structure: a reset reaches every flip-flop."""

import json
from pathlib import Path

import pytest

from blindvisor.fpga.tools import find_tool, run_tool
from blindvisor.hdl.cluster.vexriscv import VEXRISCV_MODULE, vexriscv_verilog

pytestmark = pytest.mark.formal

SCRIPT = """read_verilog core.v
hierarchy -top {top}
proc
flatten
memory -nomap
opt_clean
opt_dff
opt_clean
write_json core.json
"""

RESET_IN_LOGIC = {
    # Yosys sees no reset pin here, since the next state itself is a function of reset.
    "_zz_2",  # <= reset
    "IBusSimplePlugin_fetchPc_booted",  # <= not reset
    "IBusSimplePlugin_fetchPc_pcReg",  # <= the reset vector, in reset
}


def without_reset(text: str, folder: Path) -> set[str]:
    """Return the registers that a reset leaves as they were."""
    (folder / "core.v").write_text(text)
    (folder / "core.ys").write_text(SCRIPT.format(top=VEXRISCV_MODULE))
    yosys = find_tool("yosys").path
    run_tool([yosys, "-q", "-l", "core.log", "core.ys"], folder, log=folder / "core.log")
    module = json.loads((folder / "core.json").read_text())["modules"][VEXRISCV_MODULE]
    bits = {
        bit
        for cell in module["cells"].values()
        if cell["type"] in ("$dff", "$dffe")
        for bit in cell["connections"]["Q"]
    }
    nets = {name: set(net["bits"]) for name, net in module["netnames"].items()}
    bits -= set.union(*(nets[name] for name in RESET_IN_LOGIC))
    return {name for name, net in nets.items() if bits & net}


def test_a_reset_reaches_every_flip_flop(tmp_path: Path):
    assert without_reset(vexriscv_verilog(), tmp_path) == set()


def test_a_flip_flop_without_a_reset_is_found(tmp_path: Path):
    text = vexriscv_verilog()
    planted = "      CsrPlugin_mepc <= 0;\n"
    assert text.count(planted) == 1
    left = without_reset(text.replace(planted, ""), tmp_path)
    assert "CsrPlugin_mepc" in left


def test_another_text_of_the_core_is_refused(monkeypatch: pytest.MonkeyPatch):
    read = Path.read_text

    def changed(path: Path) -> str:
        return read(path).replace("CsrPlugin_mepc <=", "CsrPlugin_mtval <=", 1)

    monkeypatch.setattr(Path, "read_text", changed)
    with pytest.raises(RuntimeError, match="must be the text with SHA-256"):
        vexriscv_verilog()
