# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""Scenarios on a stand-in for the machine: the link's promises, and every way to end."""

import importlib
import os
import shutil
from pathlib import Path

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim import compiled
from blindvisor.sim.compiled import SimulatorError
from blindvisor.sim.session import ScenarioError, find_scenario, run_on_model, run_scenario
from blindvisor.sim.store import FileStore

CONFIG = MachineConfig(name="standin", width=1, height=1, store_rows=5)
ROOT_KEY = bytes(range(1, 33))
SIMULATORS = ["icarus", "verilator"]

pytestmark = pytest.mark.cocotb


@pytest.fixture(scope="module")
def verilog():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        yield importlib.import_module("standin").standin_verilog()


@pytest.fixture(params=SIMULATORS)
def run(request, verilog, tmp_path):
    if request.param == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("Icarus is not installed")

    def run(name, params=None, **options):
        return run_scenario(
            verilog,
            f"standin_scenarios:{name}",
            params or {},
            config=CONFIG,
            root_key=ROOT_KEY,
            build_dir=tmp_path,
            sim=request.param,
            **{"timeout": 120.0, "timeout_cycles": 100_000} | options,
        )

    return run


def test_an_access_takes_one_cycle_and_errors_are_exceptions(run):
    result = run("registers")
    assert result["values"] == [0x31564C42, int.from_bytes(ROOT_KEY[:4], "little")]
    assert result["cycles"] == 2
    assert result["refused"] == [[0xFFC, False], [0xFFC, True]]


@pytest.mark.parametrize("length", [0, 1, 700])
def test_the_end_of_a_call_is_seen_at_once(run, length):
    # Its interrupt is up `length` + 1 cycles after the command, and seen within two more.
    result = run("calls", {"length": length, "timeout": 1000})
    assert "error" not in result
    assert length <= result["cycles"] <= length + 4


def test_a_call_that_is_too_slow_is_a_timeout(run):
    result = run("calls", {"length": 5000, "timeout": 1000})
    assert result["error"] == "no call ended within 1000 cycles"
    assert 1000 <= result["cycles"] <= 1003


@pytest.mark.parametrize(("give_up_after", "counted"), [(0, 100), (30, 30)])
def test_words_are_taken_in_order_until_the_load_ends(run, give_up_after, counted):
    words = [n * n + 1 for n in range(100)]
    result = run("load", {"words": words, "give_up_after": give_up_after})
    assert result["sum"] == sum(words[:counted])
    # What the staging area took before the load ended counts as taken.
    assert counted <= result["taken"] <= min(counted + 9, 100)


@pytest.mark.parametrize(("give_up_after", "piece"), [(0, 100), (0, 7), (0, 10), (30, 25)])
def test_saved_words_are_taken_in_order_until_the_save_ends(run, give_up_after, piece):
    params = {"words": 70, "give_up_after": give_up_after, "piece": piece}
    pieces = run("save", params)
    words = [word for part in pieces for word in part]
    assert words == [*range(1, len(words) + 1)]
    assert [len(part) for part in pieces[:-1]] == [piece] * (len(pieces) - 1)
    if give_up_after:
        assert len(words) <= give_up_after
    else:
        assert len(words) == 70


def test_the_store_is_served_and_kept_from_one_power_on_to_the_next(run, tmp_path):
    file = tmp_path / "store.json"
    assert run("store", {"rows": [4, 0, 4]}, store=file) == {"found": [0, 0, 1], "epoch": 1}
    assert run("store", {"rows": [0, 3, 4]}, store=file) == {"found": [1, 0, 2], "epoch": 2}
    kept = FileStore(file, 5)
    assert [row and row.version for row in kept.rows] == [2, None, None, 1, 3]
    assert kept.epoch == 2
    result = run("store", {"rows": [4]}, store=file, epoch=False)
    assert result == {"found": [3], "epoch": 0xFFFF_FFFF}
    assert run("store", {"rows": [4]}) == {"found": [0], "epoch": 1}


def test_typed_bytes_arrive_in_order_on_their_channels(run):
    result = run("echo", {"typed": [[0, "abc"], [2, "xyz\n\xff"], [0, "d"]]})
    assert result["heard"] == {"0": "abcd", "1": "", "2": "xyz\n\xff", "3": ""}
    assert result["again"] == ""


def test_time_advances_by_what_was_asked_and_events_come_out(run):
    events = []
    steps = [1, 2, 1000, 7]
    assert run("advance", {"steps": steps}, on_event=events.append) == steps
    assert events == [{"kind": "step", "cycles": cycles} for cycles in steps]


def test_the_cycle_limit_ends_a_scenario(run):
    with pytest.raises(ScenarioError, match="reached its limit of 500 cycles") as caught:
        run("advance", {"steps": [400, 400]}, timeout_cycles=500)
    assert caught.value.error == "LinkTimeout"


def test_an_exception_comes_back_with_its_traceback(run):
    with pytest.raises(ScenarioError, match=r"^KeyError: 'the matter'$") as caught:
        run("fail", {"what": "the matter"})
    assert "standin_scenarios.py" in caught.value.trace


def test_a_dead_simulator_leaves_the_end_of_its_log(run):
    with pytest.raises(SimulatorError, match=r"exit code 3 .*(?s:.*)last words"):
        run("die")


def test_a_hanging_scenario_is_stopped(run):
    with pytest.raises(SimulatorError, match="must end within 3 s and was still running"):
        run("hang", timeout=3.0)


def test_an_unknown_scenario_is_refused():
    with pytest.raises(ValueError, match="must be an importable module:function, not nowhere:no"):
        find_scenario("nowhere:no")


def test_the_model_raises_the_same_error():
    with pytest.raises(ScenarioError, match="images"):
        run_on_model("blindvisor.sim.boot:boot", {}, config=CONFIG, root_key=ROOT_KEY)


def test_wrong_verilog_is_refused_with_the_log(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "CACHE", tmp_path)
    with pytest.raises(SimulatorError, match=r"(?s)failed with exit code .*top\.v"):
        compiled.compile_model("module top(; endmodule\n", sim="icarus")
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_the_same_verilog_is_compiled_once(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "CACHE", tmp_path)
    verilog = "module top(input clk, output reg q);\nalways @(posedge clk) q <= ~q;\nendmodule\n"
    first = compiled.compile_model(verilog, sim="icarus")
    second = compiled.compile_model(verilog, sim="icarus")
    other = compiled.compile_model(verilog + "// other\n", sim="icarus")
    assert (first.cached, second.cached, other.cached) == (False, True, False)
    assert first.folder == second.folder != other.folder


def test_the_cache_keeps_what_was_used_last(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "CACHE", tmp_path)
    monkeypatch.setattr(compiled, "KEPT", 3)
    models = [
        compiled.compile_model(f"module top(output q); assign q = {n}; endmodule\n", sim="icarus")
        for n in (0, 1)
    ]
    for age, entry in enumerate(sorted(tmp_path.iterdir())):
        os.utime(entry, (1000 + age, 1000 + age))
    again = compiled.compile_model("module top(output q); assign q = 0; endmodule\n", sim="icarus")
    compiled.compile_model("module top(output q); endmodule\n", sim="icarus")
    assert again.cached
    assert models[0].folder.is_dir()
    assert not models[1].folder.is_dir()


def test_an_unknown_simulator_is_refused():
    with pytest.raises(SimulatorError, match="must be verilator or icarus, not vcs"):
        compiled.simulator_name("vcs")
