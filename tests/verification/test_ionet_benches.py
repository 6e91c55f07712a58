# amaranth: UnusedElaboratable=no
"""Runs the I/O network's cocotb bench, on the smallest and the largest tree of two levels."""

import pytest

from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import ionet


@pytest.mark.cocotb
@pytest.mark.parametrize("clusters", [5, 16])
def test_io_network(clusters, tmp_path):
    assert run_bench(ionet.IoNetwork(ionet.line(clusters)), ionet.__name__, tmp_path) == 4
