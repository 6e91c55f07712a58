# amaranth: UnusedElaboratable=no
"""With a check of the loader switched off, the bench that looks at it fails, and says why."""

import re

import pytest

from blindvisor.sim.runner import run_bench
from blindvisor.verification.benches.loader_saves import SMALL
from blindvisor.verification.controls.benches import BENCH_CONTROLS, LOADER, VARIANTS
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import convert_with, together


def test_every_control_is_in_one_variant():
    planted = [fault for variant in VARIANTS for fault in variant]
    assert sorted(planted) == sorted(control.fault for control in BENCH_CONTROLS)
    assert set(planted) <= FAULTS.keys()


@pytest.mark.cocotb
@pytest.mark.parametrize("variant", VARIANTS, ids="+".join)
def test_with_a_check_switched_off_the_bench_fails(tmp_path, variant):
    verilog = convert_with(together([FAULTS[name] for name in variant]), SMALL, LOADER)
    for control in (each for each in BENCH_CONTROLS if each.fault in variant):
        bench = f"blindvisor.verification.benches.{control.bench}"
        with pytest.raises(AssertionError, match="1 of 1 tests") as failure:
            run_bench(verilog, bench, tmp_path, testcase=control.test, internals=False)
        assert re.search(control.symptom, str(failure.value)), control.name
