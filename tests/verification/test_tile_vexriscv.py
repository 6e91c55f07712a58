# amaranth: UnusedElaboratable=no
"""Runs the benches of a tile with the core that ignores bus errors; and with planted faults."""

import pytest
from amaranth.back import verilog

from blindvisor.hdl.cluster.core import core_verilog
from blindvisor.hdl.cluster.tile import Tile
from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches import tile, tile_vexriscv

PRECISE = "denied_and_misplaced_accesses_trap"


@pytest.fixture(scope="module")
def text() -> str:
    made = verilog.convert(Tile(tile_vexriscv.CONFIG), name="top", strip_internal_attrs=True)
    return core_verilog(tile_vexriscv.CONFIG) + made


@pytest.mark.cocotb
def test_lives_of_a_cluster_are_those_of_the_reference(text, tmp_path):
    assert run_bench(text, tile.__name__, tmp_path, testcase=f"^(?!.*{PRECISE})") == 5


@pytest.mark.cocotb
def test_refused_accesses_give_zero_and_an_interrupt(text, tmp_path):
    assert run_bench(text, tile_vexriscv.__name__, tmp_path) == 5


@pytest.mark.cocotb
@pytest.mark.parametrize(
    ("planted", "instead", "bench", "caught_by"),
    [
        (
            "registerClear ? registerClearIndex : ",
            "",
            tile,
            "nothing_survives_a_change_of_the_owner",
        ),
        (
            "      CsrPlugin_mepc <= 0;\n",
            "",
            tile_vexriscv,
            "nothing_is_left_in_the_core_itself",
        ),
    ],
    ids=["general registers are not zeroed", "mepc is not reset"],
)
def test_a_core_that_keeps_something_is_caught(text, tmp_path, planted, instead, bench, caught_by):
    assert text.count(planted) == 1
    with pytest.raises(AssertionError, match="1 of 1 tests"):
        run_bench(text.replace(planted, instead), bench.__name__, tmp_path, testcase=caught_by)
