# SPDX-License-Identifier: Apache-2.0
"""The other half of a proof: with a fault planted in the gateware, it must fail."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import planted
from blindvisor.verification.formal.cache import follow, lead, short_cut
from blindvisor.verification.formal.catalogue import PROOFS
from blindvisor.verification.formal.proof import Outcome, Verdict, method, prove, recall

__all__ = ["refute"]


def refute(proof: str, fault: str, folder: Path, *, use_cache: bool = True) -> Verdict:
    """Run a proof on gateware that has the fault; a good one ends FAILED, with a trace.

    ``use_cache``: take a failure that an earlier run found.

    Raises
    ------
    :exc:`RuntimeError`
        If the run itself broke.
    """
    how = method(PROOFS[proof], PROOFS[proof].engine)
    cut = short_cut(folder / fault / "cache", proof, fault, how)
    for entry in follow(cut) if use_cache else ():
        if (known := recall(entry, proof, Outcome.FAILED)) is not None:
            return known
    with planted(FAULTS[fault]) as root:
        path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
        run = subprocess.run(
            [
                *(sys.executable, "-m", __name__),
                *(proof, str(folder / fault), str(root), "cache" if use_cache else ""),
            ],
            cwd=root,  # so that the working directory brings no other `blindvisor`
            env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    if run.returncode:
        raise RuntimeError(f"proof {proof} with fault {fault} broke: {run.stderr.strip()[-600:]}")
    told = json.loads(run.stdout)
    verdict = Verdict(**told | {"outcome": Outcome(told["outcome"])})
    if verdict.outcome is Outcome.FAILED:
        lead(cut, verdict.key)
    return verdict


def main(proof: str, folder: str, root: str, use_cache: str) -> None:
    """Prove in this process, whose ``blindvisor.hdl`` is the copy under ``root``."""
    import blindvisor.hdl as gateware

    if not Path(str(gateware.__file__)).is_relative_to(root):
        raise SystemExit(f"blindvisor.hdl must come from {root}, not from {gateware.__file__}")
    verdict = prove(PROOFS[proof], Path(folder), use_cache=bool(use_cache), hoped=Outcome.FAILED)
    print(json.dumps(asdict(verdict) | {"outcome": verdict.outcome.value}))


if __name__ == "__main__":
    main(*sys.argv[1:])
