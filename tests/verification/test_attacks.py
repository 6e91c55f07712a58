# SPDX-License-Identifier: Apache-2.0
"""Every attack is blocked, on the model and on RTL; with its check switched off it is not."""

import json

import pytest
from click.testing import CliRunner

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sw.cli.app import ExitCode
from blindvisor.sw.cli.attack import attack as attack_command
from blindvisor.verification.attacks.attack import Verdict
from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.attacks.runs import carry_out, carry_out_on_model
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import together

SMALL = CONFIGURATIONS["small"]
PROMISES = {f"P{number}" for number in range(1, 14)}


def test_every_attack_names_promises_and_controls_that_exist():
    for attack in ATTACKS.values():
        assert attack.controls, attack.name
        assert set(attack.controls) <= FAULTS.keys(), attack.name
        assert set(attack.promises) <= PROMISES, attack.name


def test_all_attacks_are_blocked_on_the_model():
    outcomes = carry_out_on_model(list(ATTACKS.values()), config=SMALL)
    assert [outcome.name for outcome in outcomes] == list(ATTACKS)
    assert [outcome.name for outcome in outcomes if not outcome.blocked] == []


@pytest.mark.cocotb
def test_all_attacks_are_blocked_on_rtl():
    outcomes = carry_out(list(ATTACKS.values()), config=SMALL)
    assert [outcome.name for outcome in outcomes] == list(ATTACKS)
    assert [outcome.name for outcome in outcomes if not outcome.blocked] == []


def by_control(name):
    return [attack for attack in ATTACKS.values() if name in attack.controls]


@pytest.mark.cocotb
@pytest.mark.parametrize(
    "faults",
    [
        # planted together, as neither is in the other's way: a variant costs a compilation
        {
            "borders-open": by_control("borders-open"),
            "scrub-memory": [ATTACKS["failed-load-residue"]],
        },
        {"contents-tag": by_control("contents-tag")},
    ],
    ids="+".join,
)
def test_with_the_check_switched_off_its_attacks_succeed_on_rtl(faults):
    fault = together([FAULTS[name] for name in faults])
    for name, concerned in faults.items():
        assert concerned
        for attack in concerned:
            assert name in attack.controls
            (outcome,) = carry_out([attack], config=SMALL, fault=fault)
            assert outcome.verdict is Verdict.SUCCEEDED, attack.name


@pytest.mark.cocotb
def test_the_command_tells_a_successful_attack_by_its_exit_code():
    run = CliRunner().invoke(
        attack_command,
        ["tamper-image", "--plant", "contents-tag", "--json"],
        standalone_mode=False,
    )
    assert run.return_value is ExitCode.CHECK_FAILED
    result = json.loads(run.output)
    assert not result["ok"]
    assert [outcome["verdict"] for outcome in result["outcomes"]] == [Verdict.SUCCEEDED]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-attack"], "attack must be one of"),
        (["scan-port", "--plant", "no-such-fault"], "fault must be one of"),
        (["scan-port", "--all"], "not both"),
        ([], "name attacks"),
    ],
)
def test_bad_input_is_one_clear_sentence(arguments, message):
    run = CliRunner().invoke(attack_command, arguments)
    assert run.exit_code == ExitCode.BAD_INPUT or run.exception is not None
    assert message in run.output
