# amaranth: UnusedElaboratable=no
"""Runs the benches of the mesh network under pytest."""

import pytest

from blindvisor.hdl.noc.mesh import mesh_verilog
from blindvisor.hdl.noc.router import Router
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import mesh, router


@pytest.mark.cocotb
def test_router(tmp_path):
    assert run_bench(Router(**router.PARAMETERS), router.__name__, tmp_path) == 8


def run_mesh(tmp_path, *, width, height, fifo_depth, tests):
    return run_bench(
        mesh_verilog(width=width, height=height, fifo_depth=fifo_depth),
        mesh.__name__,
        tmp_path,
        testcase=tests,
        env={"MESH_WIDTH": str(width), "MESH_HEIGHT": str(height)},
    )


@pytest.mark.cocotb
def test_packets_cross_a_mesh(tmp_path):
    # The smallest mesh in which a router has neighbours on three sides.
    assert run_mesh(tmp_path, width=3, height=2, fifo_depth=2, tests="every") == 5


@pytest.mark.cocotb
def test_overloaded_mesh_carries_its_share(tmp_path):
    assert run_mesh(tmp_path, width=4, height=4, fifo_depth=16, tests="overloaded") == 2
