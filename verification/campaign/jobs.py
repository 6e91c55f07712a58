# SPDX-License-Identifier: Apache-2.0
"""What a campaign consists of: jobs that any worker can do with what stands in them alone."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from blindvisor.hdl.config import load_configuration
from blindvisor.sim.compiled import CACHE

__all__ = ["Job", "attack_jobs", "fuzz_jobs", "mutant_jobs", "run_job", "sources"]

CALLS_EACH, CYCLES_EACH = 2_000, 1_000_000
"""What one fuzzing job does: some minutes, so that little is lost with a worker."""

_ROOT = Path(__file__).parents[2]
_FOLDERS = ("hdl", "sim", "sw", "verification")
_LONGEST = 3600.0  # seconds of a fuzzing job


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work.

    Parameters
    ----------
    name : :class:`str`
        Unlike any other of the campaign.
    kind : :class:`str`
        Key of :data:`KINDS`.
    params : :class:`dict`
        What JSON can hold.
    """

    name: str
    kind: str
    params: dict[str, Any]


@cache
def sources() -> str:
    """Return a digest of all that results can depend on: a campaign never mixes versions."""
    digest = hashlib.sha256()
    for folder in _FOLDERS:
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".toml", ".elf", ".cpp"):
                digest.update(path.relative_to(_ROOT).as_posix().encode() + b"\0")
                digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def attack_jobs(names: Sequence[str], *, config: str, controls: bool) -> list[Job]:
    """Return a job for each attack, and with ``controls`` one for each of its planted faults."""
    from blindvisor.verification.attacks.catalogue import find_attacks

    jobs = []
    for attack in find_attacks(list(names)):
        for fault in (None, *(attack.controls if controls else ())):
            jobs.append(
                Job(
                    name=f"attack/{attack.name}" + (f"/{fault}" if fault is not None else ""),
                    kind="attack",
                    params={"attack": attack.name, "fault": fault, "config": config},
                )
            )
    return jobs


def fuzz_jobs(*, calls: int, cycles: int, seed: int) -> list[Job]:
    """Return jobs that make so many calls and run so many cycles together, each with its seed."""
    jobs = []
    for kind, total, each in (("calls", calls, CALLS_EACH), ("guests", cycles, CYCLES_EACH)):
        for number, begin in enumerate(range(0, total, each)):
            jobs.append(
                Job(
                    name=f"fuzz/{kind}/{number:05}",
                    kind="fuzz",
                    params={
                        "kind": kind,
                        "seed": seed * 1_000_003 + number,
                        "total": min(each, total - begin),
                    },
                )
            )
    return jobs


def mutant_jobs(names: Sequence[str], *, most: int | None) -> list[Job]:
    """Return a job for each block that is mutated; without names all but the large ones.

    Raises
    ------
    :exc:`ValueError`
        If there is no such block.
    """
    from blindvisor.verification.mutation.targets import TARGETS

    for name in names:
        if name not in TARGETS:
            raise ValueError(f"a module must be one of {', '.join(TARGETS)}, not {name}")
    chosen = names or [name for name, target in TARGETS.items() if not target.large]
    return [
        Job(name=f"mutants/{name}", kind="mutants", params={"module": name, "most": most})
        for name in chosen
    ]


def run_job(job: Job, version: str) -> dict[str, Any]:
    """Do a job in this process; ``version``: of the sources that the campaign is about.

    Returns
    -------
    :class:`dict`
        ``ok``: whether the result is what it should be; ``says``: one line; and more by kind.

    Raises
    ------
    :exc:`RuntimeError`
        If these are other sources.
    """
    if (mine := sources()) != version:
        raise RuntimeError(f"a worker must have the sources {version}, not {mine}")
    return KINDS[job.kind](job)


def _attack(job: Job) -> dict[str, Any]:
    from blindvisor.verification.attacks.attack import Verdict
    from blindvisor.verification.attacks.catalogue import ATTACKS
    from blindvisor.verification.attacks.runs import carry_out
    from blindvisor.verification.controls.catalogue import FAULTS

    fault = FAULTS[job.params["fault"]] if job.params["fault"] is not None else None
    config = load_configuration(job.params["config"])
    attack = ATTACKS[job.params["attack"]]
    folder = CACHE.parent / "campaign" / job.name.replace("/", "-")
    (outcome,) = carry_out([attack], config=config, fault=fault, folder=folder)
    ok = outcome.blocked if fault is None else outcome.verdict is Verdict.SUCCEEDED
    return {"ok": ok, "says": outcome.verdict, "outcome": outcome.as_dict()}


def _fuzz(job: Job) -> dict[str, Any]:
    from blindvisor.verification.fuzz.runs import fuzz

    result = fuzz(**job.params, seconds=_LONGEST)
    found = result["found"]
    says = found["message"] if found is not None else f"{result['programs']} programs agree"
    return {"ok": found is None, "says": says, **result}


def _mutants(job: Job) -> dict[str, Any]:
    from blindvisor.verification.mutation.judge import prepare
    from blindvisor.verification.mutation.table import good, score
    from blindvisor.verification.mutation.targets import TARGETS

    module, most = job.params["module"], job.params["most"]
    folder = CACHE.parent / "mutation"
    session = prepare(module, folder, most=most or TARGETS[module].most)
    judged = list(session.run(folder, jobs=1))
    fates = {f"{one.mutant.name}": one.fate.value for one in judged}
    says = f"{score(judged):.1%} of {len(judged)} mutants"
    return {"ok": good(judged), "says": says, "score": score(judged), "fates": fates}


KINDS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "attack": _attack,
    "fuzz": _fuzz,
    "mutants": _mutants,
}
"""What does a job of each kind."""
