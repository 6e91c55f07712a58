# SPDX-License-Identifier: Apache-2.0
"""The fuzzers agree with a right machine, find a wrong one, and say it shortly."""

import json
from random import Random

import pytest
from click.testing import CliRunner

from blindvisor.hdl.abi import Call, VmState
from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sim.session import run_on_model
from blindvisor.sw.cli.app import ExitCode, main
from blindvisor.sw.cli.fuzz import fuzz_command
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.monitor import Monitor
from blindvisor.sw.model.store import Store
from blindvisor.verification.fuzz import coverage, crowd
from blindvisor.verification.fuzz.actions import Action, ProgramSource
from blindvisor.verification.fuzz.crowd import Crowd, run_crowd
from blindvisor.verification.fuzz.lockstep import Difference, Pair
from blindvisor.verification.fuzz.runs import MACHINES, ReproducerError, fault_named, fuzz, replay
from blindvisor.verification.fuzz.scenario import FUZZERS
from blindvisor.verification.fuzz.shrink import Budget, shrink

SMALL = CONFIGURATIONS["small"]
GUESTS = MACHINES["guests"]
KEY = bytes(range(32))


def on_model(kind, *, total, seed=1, config=None):
    params = {"seed": seed, "total": total, "seconds": 60, "shrink": 60, "tries": 99}
    params["root_key"] = KEY.hex()
    config = config or MACHINES[kind]
    return run_on_model(FUZZERS[kind][0], params, config=config, root_key=KEY)


def pair_of_models(config):
    store = Store(config.store_rows)
    link = ModelLink(config, root_key=KEY, store=store, epoch=store.power_on())
    return Pair(link, root_key=KEY)


# Without a simulator: the machine is a second model


def test_two_models_agree_and_the_programs_meet_nearly_all_bins():
    result = on_model("calls", total=2500)
    assert result["found"] is None
    missing = {
        name
        for name in coverage.holes(result["bins"])
        if " guest:" not in name and "guests run" not in name and name not in coverage.UNREACHABLE
    }
    assert len(missing) <= 6, sorted(missing)
    assert not result["bins"].keys() & coverage.UNREACHABLE.keys()


class EagerMonitor(Monitor):
    """Starts a VM without an image too."""

    def _vm_start(self, arguments):
        slot = self._slots.get(arguments[0])
        if slot is not None and slot.state is VmState.CREATED:
            slot.state = VmState.RUNNING
        else:
            super()._vm_start(arguments)


def test_a_wrong_monitor_is_found_and_the_program_made_short(monkeypatch):
    config = MACHINES["calls"]
    pair = pair_of_models(config)
    power_on = ModelLink._power_on

    def power_on_wrong(link):
        power_on(link)
        if link is pair.machine.link:
            link._monitor = EagerMonitor(link.machine, KEY, store=link.store, epoch=link._epoch)

    monkeypatch.setattr(ModelLink, "_power_on", power_on_wrong)
    source = ProgramSource(config, root_key=KEY)

    def fails(actions):
        try:
            pair.run(actions)
        except Difference:
            return True
        return False

    programs = (source.program(Random(seed), 40) for seed in range(100))
    program = next(actions for actions in programs if fails(actions))
    short = shrink(program, fails, budget=Budget(runs=400))
    assert len(short) == 2  # the VM is created, and started, be it by a call that races another
    assert short[0].step is not None
    assert short[0].step.call == Call.VM_CREATE.value
    with pytest.raises(Difference, match=r"^action 1 \("):
        pair.run(short)


def test_guests_on_two_models_agree():
    pair = pair_of_models(GUESTS)
    for seed in (1, 2):
        people = crowd.crowd(Random(seed), GUESTS)
        run_crowd(pair, people, root_key=KEY)
    assert {name for name in pair.counts if " guest:" in name}
    coverage.coverage(pair.counts)


def test_programs_and_crowds_survive_json():
    source = ProgramSource(GUESTS, root_key=KEY)
    actions = source.program(Random(3), 80)
    texts = [json.dumps(action.as_dict()) for action in actions]
    assert [Action.from_dict(json.loads(text)) for text in texts] == actions
    people = crowd.crowd(Random(3), GUESTS)
    assert Crowd.from_dict(json.loads(json.dumps(people.as_dict()))) == people
    assert people.with_blocks(people.blocks) == people


def test_the_same_seed_gives_the_same_programs():
    one, two = (ProgramSource(GUESTS, root_key=KEY).program(Random(7), 60) for _ in "ab")
    assert one == two
    assert crowd.crowd(Random(7), GUESTS) == crowd.crowd(Random(7), GUESTS)
    assert crowd.crowd(Random(7), GUESTS) != crowd.crowd(Random(8), GUESTS)


def test_shrinking_finds_the_two_items_that_matter_and_makes_them_simple():
    def fails(items):
        return 7 in [item % 10 for item in items] and 3 in items

    short = shrink(
        [*range(40), 47],
        fails,
        budget=Budget(runs=1000),
        simpler=lambda item: [item % 10] if item > 9 else [],
    )
    assert sorted(short) == [3, 7]


def test_shrinking_stops_with_its_budget():
    tried = []

    def fails(items):
        tried.append(len(items))
        return True

    assert shrink(list(range(64)), fails, budget=Budget(runs=2)) == list(range(48, 64))
    assert tried == [32, 16]


def test_only_bins_are_counted():
    with pytest.raises(ValueError, match=r"must be one of coverage\.BINS, not 'no bin'"):
        coverage.coverage({"no bin": 1})
    assert coverage.holes(dict.fromkeys(coverage.BINS, 1)) == {}
    assert coverage.merged([{"a": 1}, {"a": 2, "b": 1}]) == {"a": 3, "b": 1}
    assert coverage.UNREACHABLE.keys() <= coverage.BINS.keys()


# On RTL


@pytest.mark.cocotb
def test_random_programs_on_rtl(tmp_path):
    result = fuzz("calls", seed=11, total=100, config=GUESTS, folder=tmp_path)
    assert result["found"] is None, result["found"]
    assert result["random"] >= 100


@pytest.mark.cocotb
def test_random_guests_on_rtl(tmp_path):
    result = fuzz("guests", seed=11, total=10_000, folder=tmp_path)
    assert result["found"] is None, result["found"]
    assert result["programs"] == 1


@pytest.mark.cocotb
@pytest.mark.parametrize(
    ("kind", "fault", "total", "tries", "longest"),
    [
        ("calls", "contents-tag", 400, 60, 6),
        # A try takes seconds: with all of them it gets down to single blocks.
        ("guests", "borders-open+scrub-memory", 1_000_000, 2, 100),
    ],
)
def test_a_planted_fault_is_found_shrunk_and_replayed(kind, fault, total, tries, longest, tmp_path):
    # The faults are those that the attacks plant together: a variant costs a compilation.
    result = fuzz(
        kind, seed=5, total=total, config=SMALL, fault=fault, tries=tries, folder=tmp_path
    )
    found = result["found"]
    assert found is not None
    assert found["confirmed"]
    items = found["actions"] if kind == "calls" else Crowd.from_dict(found["crowd"]).blocks
    assert len(items) <= longest
    run = CliRunner().invoke(
        fuzz_command, ["--replay", found["file"], "--json"], standalone_mode=False
    )
    assert run.return_value is ExitCode.CHECK_FAILED
    assert json.loads(run.output)["message"]


# Bad input


def test_a_file_that_is_no_reproducer_is_refused(tmp_path):
    file = tmp_path / "file.json"
    for text, what in (("{", "that fuzzing wrote"), ('{"reproducer": 2}', "version 1, not 2")):
        file.write_text(text)
        with pytest.raises(ReproducerError, match=what):
            replay(file)


def test_unknown_faults_and_small_machines_are_refused(tmp_path):
    assert fault_named(None) is None
    with pytest.raises(ValueError, match=r"fault must be one of .*, not nothing"):
        fault_named("contents-tag+nothing")
    with pytest.raises(ValueError, match="random guests need memory_bytes of at least 8192"):
        fuzz("guests", seed=1, total=1, config=MACHINES["calls"], folder=tmp_path)


def test_the_command_refuses_what_does_not_fit(capsys):
    assert main(["fuzz", "--unplanted"]) == ExitCode.BAD_INPUT
    assert main(["fuzz", "--calls", "1", "--plant", "nothing"]) == ExitCode.BAD_INPUT
    assert "fault must be one of" in capsys.readouterr().err
