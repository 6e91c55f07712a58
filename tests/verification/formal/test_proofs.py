# SPDX-License-Identifier: Apache-2.0
"""The small proofs hold, every proof can fail, and the documentation lists them all."""

import re
from pathlib import Path

import pytest

from blindvisor.sw.cli.prove import FOLDER, TABLE
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.formal import control
from blindvisor.verification.formal.catalogue import PROOFS
from blindvisor.verification.formal.control import refute
from blindvisor.verification.formal.engines import pdr_available
from blindvisor.verification.formal.proof import Engine, Outcome, Proof, prove

SMALL = [proof for proof in PROOFS.values() if not proof.large]


def without_its_size(name: str) -> str:
    return re.sub(r"-\d+$", "", name)


@pytest.mark.formal
@pytest.mark.parametrize("proof", SMALL, ids=lambda proof: proof.name)
def test_a_small_proof_holds(proof: Proof) -> None:
    if proof.engine is Engine.PDR and not pdr_available():
        pytest.skip("PDR needs berkeley-abc, which is not installed")
    verdict = prove(proof, FOLDER, listed=True)  # at once if nothing has changed that it is about
    assert verdict.outcome is Outcome.PROVEN, f"{verdict.detail}\n{verdict.trace}"


@pytest.mark.formal
def test_a_planted_fault_makes_its_proof_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One of an engine that is everywhere; `blindvisor prove --control` plants all.
    verdict = refute("interrupts", "mailbox-outlives", tmp_path)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.trace
    monkeypatch.setattr(control, "planted", None)  # the next one must need no gateware
    again = refute("interrupts", "mailbox-outlives", tmp_path)
    assert (again.outcome, again.trace, again.cached) == (verdict.outcome, verdict.trace, True)
    with pytest.raises(TypeError):
        refute("interrupts", "mailbox-outlives", tmp_path, use_cache=False)


def test_every_proof_has_planted_faults_that_exist() -> None:
    # Sizes of one proof share their faults.
    controls: dict[str, set[str]] = {}
    for name, proof in PROOFS.items():
        controls.setdefault(without_its_size(name), set()).update(proof.controls)
    assert [name for name, faults in controls.items() if not faults] == []
    assert set().union(*controls.values()) <= set(FAULTS)


def test_every_proof_is_in_the_documentation_as_proven() -> None:
    rows = [line.split(" | ") for line in TABLE.read_text().splitlines() if line.startswith("| `")]
    listed = {cells[0].strip("|` "): cells for cells in rows}
    assert list(listed) == list(PROOFS), "blindvisor prove --table writes the page"
    for name, cells in listed.items():
        proof = PROOFS[name]
        assert cells[1].split() == list(proof.promises)
        assert cells[2:4] == ["proven", proof.engine.value]
        assert re.findall(r"`([^`]*)`", cells[-1]) == list(proof.controls)
