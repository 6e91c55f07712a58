# SPDX-License-Identifier: Apache-2.0
"""Threat models, attacks and publications fit together, and the page tells of all of them."""

import shutil

import pytest
from click.testing import CliRunner

from blindvisor.sw.cli.attack import attack as attack_command
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.promises import IDENTIFIERS
from blindvisor.verification.threats import table
from blindvisor.verification.threats.catalogue import (
    ENTRIES,
    FOLDER,
    MODELS,
    PUBLISHED,
    ThreatError,
    read,
)


def test_attacks_entries_publications_and_page_fit_together():
    assert table.problems() == []


def test_the_page_tells_of_every_attack_once_per_model():
    text = table.PAGE.read_text()
    for name in ATTACKS:
        assert text.count(f"| `{name}` |") == 1, name
    for promise in IDENTIFIERS:
        assert f"| {promise} |" in text
    for item in PUBLISHED.values():
        assert item.source in text


def test_what_does_not_fit_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(table, "ATTACKS", {k: v for k, v in ATTACKS.items() if k != "scan-port"})
    monkeypatch.setattr(table, "PUBLISHED", PUBLISHED | {"unused": PUBLISHED["badram"]})
    monkeypatch.setattr(table, "PAGE", tmp_path / "threats.md")
    found = table.problems()
    assert found[:2] == ["attack scan-port has no code", "nothing is modelled on unused"]
    assert found[2].startswith("docs/threats.md is stale")
    entries = {k: v for k, v in ENTRIES.items() if k != "scan-port"}
    monkeypatch.setattr(table, "ATTACKS", ATTACKS)
    monkeypatch.setattr(table, "ENTRIES", entries)
    assert "attack scan-port has no entry" in table.problems()


def test_all_six_models_are_there_and_one_says_why_it_has_no_attack():
    assert {*MODELS} == {"hypervisor", "vm", "together", "device", "author", "neighbour"}
    without = [model for model in MODELS.values() if model.missing]
    assert [model.title for model in without] == ["malicious device"]
    assert "direct memory access" in without[0].missing


def test_an_attack_without_an_entry_is_refused():
    with pytest.raises(ThreatError, match="attack of-nothing must have an entry"):
        attack("of-nothing", lambda world: None)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("vm.toml", "[attacks.read-outside]", "[attacks.scan-port]", "must be in one file"),
        ("vm.toml", 'goal = "read', 'aim = "read', "must hold the fields of Entry"),
        ("vm.toml", '"mesh-around"', '"nothing"', "must name one of published.toml, not nothing"),
        ("device.toml", "missing =", "lost =", "must hold the fields of Model"),
        ("vm.toml", "title =", 'missing = "x"\ntitle =', "either attacks or a reason"),
        ("published.toml", "flaw =", "fault =", "must hold the fields of Publication"),
    ],
)
def test_files_that_do_not_hold_what_they_must_are_refused(file, old, new, message, tmp_path):
    for path in FOLDER.glob("*.toml"):
        shutil.copy(path, tmp_path)
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new, 1))
    with pytest.raises(ThreatError, match=message):
        read(tmp_path)


def test_the_list_shows_threat_and_model():
    run = CliRunner().invoke(attack_command, ["--list"], standalone_mode=False)
    lines = run.output.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("listen-to-a-neighbour"))
    assert lines[at].endswith("neighbour that measures time")
    assert "modelled on: Don't Mesh Around" in lines[at + 3]
