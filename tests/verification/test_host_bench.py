# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""Runs the bench of the host link's bridge, also on bridges that lack a protection."""

import os
import subprocess
import sys

import pytest

from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import host_bridge
from blindvisor.verification.benches.host_rig import HostRig
from blindvisor.verification.controls.plant import Edit, Fault, planted

pytestmark = pytest.mark.cocotb

NOISE = "nothing_lost_and_nothing_twice_through_noise|noise_alone_does_nothing"
FAULTS = [
    Fault(
        name="crc-unchecked",
        promises=(),
        breaks="spoiled frames are carried out",
        edits=(Edit("host/receiver.py", "crc.value == CRC_RESIDUE", "1"),),
    ),
    Fault(
        name="sequence-forgotten",
        promises=(),
        breaks="a frame that is sent again is carried out again",
        edits=(Edit("host/bridge.py", "stored & (last == receiver.sequence)", "0"),),
    ),
]


def test_bridge(tmp_path):
    assert run_bench(HostRig(), host_bridge.__name__, tmp_path) == 5


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_without_a_protection_the_noise_is_noticed(tmp_path, fault):
    with planted(fault) as root:
        code = f"import {host_bridge.__package__}.host_rig as rig; print(rig.rig_verilog())"
        path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
        verilog = subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    with pytest.raises(AssertionError, match=r"tests in .*host_bridge failed"):
        run_bench(verilog, host_bridge.__name__, tmp_path, testcase=NOISE)
