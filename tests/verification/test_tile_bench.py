# amaranth: UnusedElaboratable=no
"""Runs the bench of a single tile."""

import pytest

from blindvisor.hdl.cluster.tile import Tile
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import tile


@pytest.mark.cocotb
def test_tile(tmp_path):
    assert run_bench(Tile(tile.CONFIG), tile.__name__, tmp_path) == 6
