# amaranth: UnusedElaboratable=no
"""Images and calls that change under the loader's hands."""

import pytest

from blindvisor.hdl.loader.loader import Loader
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import loader, loader_tamper


@pytest.mark.cocotb
def test_changes_under_its_hands(tmp_path):
    assert run_bench(Loader(loader.CONFIG), loader_tamper.__name__, tmp_path) == 7
