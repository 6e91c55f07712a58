# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""Promises, what keeps them, and the evidence name each other, and all of it exists."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from amaranth.hdl import Fragment

from blindvisor.sw.cli import main
from blindvisor.verification import promises
from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.formal.catalogue import PROOFS
from blindvisor.verification.formal.proof import Proof

PROMISES = promises.load()
STALE = "run python -m blindvisor.verification.promises"


def test_everything_named_exists_and_every_promise_has_evidence_and_a_control() -> None:
    assert promises.problems(PROMISES.values()) == []


def test_proofs_attacks_and_faults_name_each_other() -> None:
    assert promises.catalogue_problems() == []


def test_every_proof_attack_and_fault_is_in_the_table_under_each_of_its_promises() -> None:
    sections = re.split(r"^## (P\d+) .*$", promises.PAGE.read_text(), flags=re.M)
    pages = dict(zip(sections[1::2], sections[2::2], strict=True))
    for row, catalogue in (("Proofs", PROOFS), ("Attacks", ATTACKS), ("Controls", FAULTS)):
        shown = {
            (name, promise)
            for promise, page in pages.items()
            for line in page.splitlines()
            if line.startswith(f"* {row}: ")
            for name in re.findall(r"`([^`]+)`", line)
        }
        named = {(name, promise) for name, e in catalogue.items() for promise in e.promises}
        assert shown == named, STALE


def test_page_and_readme_are_what_would_be_rendered_now() -> None:
    assert promises.PAGE.read_text() == promises.render(PROMISES.values()), STALE
    text = promises.README.read_text()
    assert text == promises.readme(PROMISES.values(), text), STALE


@pytest.mark.parametrize("proof", PROOFS.values(), ids=PROOFS)
def test_a_proof_asserts_something_for_each_promise_that_it_names(proof: Proof) -> None:
    claims = _claims(Fragment.get(proof.spec(), None))
    claimed = {match[0] for claim in claims if (match := re.match(r"P\d+\b", claim))}
    assert set(proof.promises) <= claimed


def _claims(fragment: Any) -> set[str]:
    """Texts of all assertions in a design."""
    found: set[str] = set()
    pending = [s for body in fragment.statements.values() for s in body]
    while pending:
        statement = pending.pop()
        if getattr(statement, "kind", None) is not None and statement.kind.value == "assert":
            found.update(chunk for chunk in statement.message._chunks if isinstance(chunk, str))
        for _, body, _ in getattr(statement, "cases", ()):
            pending += body
    for subfragment, _, _ in fragment.subfragments:
        found |= _claims(subfragment)
    return found


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"code": ("hdl/smmu/egress.py:Gone",)}, "the code hdl/smmu/egress.py:Gone does not exist"),
        ({"code": ("hdl/gone.py:Egress",)}, "the code hdl/gone.py:Egress does not exist"),
        ({"code": ("hdl/smmu/egress.py",)}, "the code hdl/smmu/egress.py does not exist"),
        (
            {"tests": ("tests/test_packaging.py::test_gone",)},
            "the test tests/test_packaging.py::test_gone does not exist",
        ),
        (
            {"tests": ("verification/benches/tile.py::start",)},  # a helper, no test
            "the test verification/benches/tile.py::start does not exist",
        ),
        ({"controls": ()}, "must have at least one entry in controls"),
        ({"holes": ()}, "must have at least one entry in holes"),
        ({"proofs": (), "attacks": ()}, "must have a proof or an attack"),
    ],
)
def test_what_is_missing_is_found(change: dict[str, tuple[str, ...]], complaint: str) -> None:
    (found,) = promises.problems([replace(PROMISES["P1"], **change)])
    assert found.startswith("P1")
    assert found.endswith(complaint)


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({"promises": ("P14",)}, "names P14, which is no promise"),
        ({"controls": ("gone",)}, "names the fault gone, which does not exist"),
        ({"controls": ()}, "must have a control"),
        ({"promises": ()}, "must name a promise"),
    ],
)
def test_a_catalogue_entry_that_fits_nowhere_is_found(
    entry: dict[str, Any], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(promises.PROOFS, "odd", replace(PROOFS["egress"], name="odd", **entry))
    assert f"proof odd {complaint}" in promises.catalogue_problems()


def test_sizes_of_one_proof_share_their_controls(monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(PROOFS["egress"], name="odd-3", controls=())
    monkeypatch.setitem(promises.PROOFS, "odd-3", without)
    assert "proof odd-3 must have a control" in promises.catalogue_problems()
    monkeypatch.setitem(promises.PROOFS, "odd-2", replace(PROOFS["egress"], name="odd-2"))
    assert "proof odd-3 must have a control" not in promises.catalogue_problems()


def test_a_fault_that_nothing_must_notice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    fault = replace(FAULTS["stamp-constant"], name="unnoticed")
    monkeypatch.setitem(promises.FAULTS, "unnoticed", fault)
    expected = "fault unnoticed must be a control of a proof, an attack or a bench of its promises"
    assert expected in promises.catalogue_problems()


def test_a_page_without_a_new_proof_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(promises.PROOFS, "new", replace(PROOFS["egress"], name="new"))
    assert promises.PAGE.read_text() != promises.render(promises.load().values())


@pytest.mark.parametrize("text", ["[P1]\ntitle = 'a'\n", ""])
def test_a_table_of_other_promises_is_refused(text: str, tmp_path: Any) -> None:
    path = tmp_path / "promises.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"must have the tables P1\.\.P13"):
        promises.load(path)


def test_a_readme_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="must have <!-- promises -->"):
        promises.readme([], "no markers here")


def test_the_command_shows_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    code = 1 if promises.catalogue_problems() else 0
    assert main(["promises", "--json"]) == code
    shown = json.loads(capsys.readouterr().out)
    assert [promise["name"] for promise in shown["promises"]] == list(PROMISES)
    assert main(["promises", "P13"]) == code
    assert "The SMMU adds zero cycles" in capsys.readouterr().out
    assert main(["promises", "P14"]) == 2
    assert "must be one of P1" in capsys.readouterr().err
