# amaranth: UnusedElaboratable=no
"""Generated Verilog: identical from run to run, one tile, readable by another tool."""

import dataclasses
import os
import re
import subprocess
import sys

import pytest

from blindvisor.hdl.config import CONFIGURATIONS, MachineConfig
from blindvisor.hdl.generate import generate

TINY = MachineConfig(name="tiny", width=3, height=2, memory_bytes=1024, staging_words=16)


@pytest.fixture(scope="module")
def verilog():
    return generate(TINY)


def test_another_process_generates_the_same(verilog):
    # Another process has other hash seeds and object addresses.
    script = (
        "from blindvisor.hdl.generate import generate; from blindvisor.hdl.config import *;"
        f"print(generate({TINY!r}), end='')"
    )
    again = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == verilog


def test_the_tile_occurs_once_and_is_instantiated_per_cluster(verilog):
    assert len(re.findall(r"^module blindvisor_tile\b", verilog, re.MULTILINE)) == 1
    assert len(re.findall(r"^  blindvisor_tile ", verilog, re.MULTILINE)) == TINY.clusters


def test_no_path_gets_into_the_verilog(verilog):
    assert "src =" not in verilog
    assert ".py" not in verilog


def test_cluster_memory_has_no_initial_contents(verilog):
    declared = verilog.index("reg [31:0] cluster_memory [255:0];")
    assert "initial" not in verilog[declared : declared + 400]
    assert "cluster_memory[0] = " not in verilog


def test_size_grows_with_the_tile_not_with_the_mesh(verilog):
    taller = generate(dataclasses.replace(TINY, height=8))
    tile = verilog.index("module blindvisor_tile")
    assert len(verilog) > 0 < tile
    more_clusters = 3 * 8 - TINY.clusters
    assert (len(taller) - len(verilog)) / more_clusters < 0.02 * len(verilog)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_named_configurations_are_named_after_themselves(name):
    assert CONFIGURATIONS[name].name == name
