# amaranth: UnusedElaboratable=no
"""Runs the bench of the security monitor under pytest."""

import pytest

from blindvisor.hdl.iocluster.monitor import Monitor
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import monitor


@pytest.mark.cocotb
def test_monitor(tmp_path):
    assert run_bench(Monitor(monitor.CONFIG), monitor.__name__, tmp_path) == 4
