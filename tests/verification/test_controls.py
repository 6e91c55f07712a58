# SPDX-License-Identifier: Apache-2.0
"""Planted faults fit the source they are planted in, and only a copy of it."""

from pathlib import Path

import pytest

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.controls.benches import BENCH_CONTROLS
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import (
    HDL,
    Edit,
    Fault,
    PlantError,
    elaborate_with,
    planted,
)
from blindvisor.verification.formal.catalogue import PROOFS

SMALL = CONFIGURATIONS["small"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_matches_the_source_and_changes_nothing_else(fault: Fault) -> None:
    touched = {edit.file for edit in fault.edits}
    with planted(fault) as root:
        copy = root / "blindvisor" / "hdl"
        files = {path.relative_to(HDL) for path in HDL.rglob("*.py")}
        assert {path.relative_to(copy) for path in copy.rglob("*.py")} == files
        changed = {
            file.as_posix()
            for file in files
            if (HDL / file).read_text() != (copy / file).read_text()
        }
    assert changed == touched


def test_every_fault_is_hardware() -> None:
    for fault in FAULTS.values():
        elaborate_with(fault, SMALL)


def test_every_fault_is_a_control_of_evidence_for_what_it_breaks() -> None:
    evidence = (*ATTACKS.values(), *PROOFS.values(), *BENCH_CONTROLS)
    for fault in FAULTS.values():
        concerned = [item for item in evidence if fault.name in item.controls]
        assert concerned, fault.name
        promised = {promise for item in concerned for promise in item.promises}
        assert promised & set(fault.promises), fault.name


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit("smmu/egress.py", "no such text", ""), r"exactly once, not 0 times"),
        (Edit("smmu/egress.py", "head", "tail"), r"exactly once, not \d\d times"),
        (Edit("smmu/absent.py", "head", "tail"), r"there is no hdl/smmu/absent\.py"),
        (Edit("smmu/egress.py", "class Egress", "class Egress"), r"must change something"),
    ],
)
def test_a_fault_that_does_not_fit_is_refused(edit: Edit, message: str) -> None:
    fault = Fault(name="misfit", promises=("P1",), breaks="nothing", edits=(edit,))
    with pytest.raises(PlantError, match=message), planted(fault):
        pass


def test_a_variant_that_is_no_hardware_is_refused_with_its_reason() -> None:
    edit = Edit("smmu/faults.py", "asked = Signal()", "asked = Nonsense()")
    fault = Fault(name="broken", promises=("P9",), breaks="itself", edits=(edit,))
    with pytest.raises(PlantError, match=r"fault broken cannot be generated(.|\n)*Nonsense"):
        elaborate_with(fault, SMALL)


def test_the_variant_really_comes_from_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    # Control of the mechanism itself: with the copy out of reach, it must notice.
    from blindvisor.verification.controls import plant

    hidden = plant._PROLOGUE.replace(
        "for name in modules:", "sys.path.remove(str(root))\nfor name in modules:"
    ).replace("import importlib", "import os, importlib")
    hidden = hidden.replace("root, config", "os.chdir('/'); root, config", 1)
    monkeypatch.setattr(plant, "_PROLOGUE", hidden)
    with pytest.raises(PlantError, match=r"must come from .*, not from"):
        elaborate_with(FAULTS["egress-rectangle"], SMALL)


def test_planting_leaves_no_folder_behind() -> None:
    with planted(FAULTS["egress-rectangle"]) as root:
        assert root.is_dir()
    assert not Path(root).exists()
