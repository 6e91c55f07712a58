# amaranth: UnusedElaboratable=no
"""Runs the benches of the loader and its parts under pytest."""

import pytest

from blindvisor.hdl.loader.engine import GcmEngine
from blindvisor.hdl.loader.loader import Loader
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import gcm, loader


@pytest.mark.cocotb
@pytest.mark.parametrize(("sboxes", "digit"), [(32, 16), (4, 2), (64, 32)])
def test_gcm_engine(tmp_path, sboxes, digit):
    environment = gcm.environment(sboxes=sboxes, digit=digit)
    engine = GcmEngine(sboxes=sboxes, digit=digit)
    assert run_bench(engine, gcm.__name__, tmp_path, internals=False, env=environment) == 4


@pytest.mark.cocotb
def test_loader(tmp_path):
    assert run_bench(Loader(loader.CONFIG), loader.__name__, tmp_path) == 9
