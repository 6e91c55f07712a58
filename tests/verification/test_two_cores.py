# SPDX-License-Identifier: Apache-2.0
"""Clusters with two cores, on RTL: both work, and both are kept in."""

from pathlib import Path

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.session import run_scenario
from blindvisor.sw.guests.expected import attacker_tries, matmul_checksum
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.memory import judge_attacker

KEY = bytes(range(32))
CONFIG = MachineConfig(name="two-cores", width=2, height=1, cores=2, vms=2)
GUESTS = Path(__file__).parents[2] / "sw" / "guests" / "bin"


def run(guest, tmp_path, *, width):
    memories = read_guest(
        GUESTS / f"{guest}.elf", width=width, height=1, memory_bytes=CONFIG.memory_bytes
    )
    image = tmp_path / f"{guest}.bvi"
    image.write_bytes(pack(memories, width=width, height=1, root_key=KEY))
    params = {"images": [str(image)], "places": [None], "cycles": 2_000_000, "mailboxes": False}
    result = run_scenario(
        machine_verilog(CONFIG),
        "blindvisor.sim.boot:boot",
        params,
        config=CONFIG,
        root_key=KEY,
        build_dir=tmp_path,
        timeout=900,
    )
    (vm,) = result["vms"]
    return vm


@pytest.mark.cocotb
def test_four_cores_of_two_clusters_share_a_matrix_product(tmp_path):
    vm = run("matmul", tmp_path, width=2)
    assert vm["exit"] == 0
    assert "by 4 core(s)" in vm["output"]
    assert f"checksum {matmul_checksum(2, 1):#010x}" in vm["output"]


@pytest.mark.cocotb
def test_each_core_gets_its_interrupts(tmp_path):
    vm = run("interrupts", tmp_path, width=1)
    assert vm["exit"] == 0
    assert "2 of 2 cores answered" in vm["output"]


@pytest.mark.cocotb
def test_two_cores_of_an_attacker_get_nothing(tmp_path):
    vm = run("attacker", tmp_path, width=1)
    _, gains = judge_attacker(vm["output"], attacker_tries(1, 1, CONFIG.cores))
    assert gains == []
