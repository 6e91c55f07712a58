# amaranth: UnusedElaboratable=no
"""Runs the benches of the loader and its parts under pytest.

All published vectors and 10,000 random messages through the engine::

    GCM_VECTORS=1 GCM_MESSAGES=10000 pytest tests/verification/test_loader_benches.py -k 32-16

1,000 flipped bits of contents through the loader::

    LOADER_FLIPS=1000 pytest tests/verification/test_loader_benches.py -k test_loader
"""

import pytest

from blindvisor.hdl.loader.aes import Aes
from blindvisor.hdl.loader.engine import GcmEngine
from blindvisor.hdl.loader.loader import Loader
from blindvisor.hdl.loader.sha256 import Sha256
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import aes, gcm, loader, loader_saves, sha256


@pytest.mark.cocotb
@pytest.mark.parametrize("sboxes", [8, 32])
def test_cipher(tmp_path, sboxes):
    environment = aes.environment(sboxes=sboxes)
    cipher = Aes(sboxes=sboxes)
    assert run_bench(cipher, aes.__name__, tmp_path, internals=False, env=environment) == 1


@pytest.mark.cocotb
@pytest.mark.parametrize(("sboxes", "digit"), [(32, 16), (4, 2), (64, 32)])
def test_gcm_engine(tmp_path, sboxes, digit):
    environment = gcm.environment(sboxes=sboxes, digit=digit)
    engine = GcmEngine(sboxes=sboxes, digit=digit)
    ran = run_bench(
        engine, gcm.__name__, tmp_path, internals=False, env=environment, timeout=1800.0
    )
    assert ran == 4


@pytest.mark.cocotb
def test_hash(tmp_path):
    environment = sha256.environment(messages=200)
    ran = run_bench(Sha256(), sha256.__name__, tmp_path, internals=False, env=environment)
    assert ran == 1


@pytest.mark.cocotb
def test_loader(tmp_path):
    assert run_bench(Loader(loader.CONFIG), loader.__name__, tmp_path) == 10


@pytest.mark.cocotb
def test_saves(tmp_path):
    assert run_bench(Loader(loader_saves.SMALL), loader_saves.__name__, tmp_path) == 9
