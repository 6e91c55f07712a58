"""The model and the gateware of a whole machine, side by side."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.machine import machine_verilog
from blindvisor.sim.session import run_on_model, run_scenario
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack
from blindvisor.verification.equivalence import steps_of

KEY = bytes(range(32))
CONFIG = MachineConfig(
    name="pair", width=2, height=2, vms=3, memory_bytes=8192, attest_channels=1, store_rows=2
)
GUESTS = Path(__file__).parents[2] / "sw" / "guests" / "bin"


@pytest.fixture(scope="module")
def verilog():
    return machine_verilog(CONFIG)


@pytest.fixture
def both(verilog, tmp_path):
    """Run one scenario on both; return (model's result, gateware's result)."""

    def run(scenario, params):
        common = {"config": CONFIG, "root_key": KEY}
        model = run_on_model(scenario, params, **common)
        rtl = run_scenario(verilog, scenario, params, build_dir=tmp_path, timeout=600, **common)
        return model, rtl

    return run


def image_of(guest, tmp_path, *, width, height):
    memories = read_guest(
        GUESTS / f"{guest}.elf", width=width, height=height, memory_bytes=CONFIG.memory_bytes
    )
    image = tmp_path / f"{guest}.bvi"
    image.write_bytes(pack(memories, width=width, height=height, root_key=KEY))
    return str(image)


@pytest.mark.cocotb
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 40))
@example(seed=10, count=60)
@example(seed=274, count=60)
def test_same_calls_have_the_same_outcome(both, seed, count):
    """The examples are sequences with saves, saves that are given up, and refused versions."""
    steps = steps_of(seed, count, config=CONFIG, root_key=KEY)
    model, rtl = both("blindvisor.verification.equivalence:calls", {"steps": steps})
    for said, heard in zip(model, rtl, strict=True):
        assert said == heard
    if count == 60:
        assert sum(bool(said["saved"]) for said in model) >= 3
        assert {"ABORTED", "IMAGE_OLD" if seed == 10 else "STORE_FULL"} <= {
            said["result"] for said in model
        }


@pytest.mark.cocotb
def test_guests_say_the_same(both, tmp_path):
    """Hello over two clusters beside a 1 x 2 matrix product: every byte of both TTYs."""
    images = [
        image_of("hello", tmp_path, width=1, height=2),
        image_of("interrupts", tmp_path, width=1, height=2),
    ]
    params = {"images": images, "places": [None, None], "cycles": 1_000_000}
    model, rtl = both("blindvisor.sim.boot:boot", params)
    for said, heard in zip(model["vms"], rtl["vms"], strict=True):
        assert heard["exit"] == 0
        assert (said["output"], said["exit"], said["faults"], said["x"], said["y"]) == (
            heard["output"],
            heard["exit"],
            heard["faults"],
            heard["x"],
            heard["y"],
        )


@pytest.mark.cocotb
def test_mailbox_carries_the_same_words(both, tmp_path):
    words = [1, 0xFFFF_FFFE, 0x1234_5678, 0]
    params = {"image": image_of("mailbox", tmp_path, width=1, height=1), "words": words}
    model, rtl = both("blindvisor.verification.equivalence:mailbox", params)
    assert rtl["answers"] == [word + 1 for word in words]
    assert model == rtl


@pytest.mark.cocotb
def test_a_vm_that_ran_is_saved_alike(both, tmp_path):
    """Bit by bit: what is in memory after a guest, save numbers, generations, tags."""
    params = {"image": image_of("hello", tmp_path, width=1, height=2), "height": 2}
    model, rtl = both("blindvisor.verification.equivalence:saves", params)
    assert "[exit 0]" in rtl["output"]
    assert len({*rtl["digests"]}) == 3
    assert model == rtl
