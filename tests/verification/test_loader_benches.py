# amaranth: UnusedElaboratable=no
"""Runs the benches of the loader and its parts under pytest."""

import pytest

from blindvisor.hdl.loader.loader import Loader
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import loader


@pytest.mark.cocotb
def test_loader(tmp_path):
    assert run_bench(Loader(loader.CONFIG), loader.__name__, tmp_path) == 9
