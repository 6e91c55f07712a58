# SPDX-License-Identifier: Apache-2.0
"""The page of all proofs, written from their verdicts."""

from collections.abc import Iterable, Mapping

from blindvisor.verification.formal.proof import Outcome, Proof, Verdict

__all__ = ["render"]

_HEAD = """\
# Proofs

Written by `blindvisor prove --table`; do not edit. Every proof holds for all inputs and for all
time, with resets at any time and anything in memories at power-on. What a specification claims
and what it assumes is in its docstring (`verification/formal/*_spec.py`); what no proof covers is
in [composition.md](composition.md).

`pdr` is property-directed reachability (ABC); `induction` is k-induction, base case and step
(bitwuzla). *Seconds* are wall-clock time of the run that proved it, on the machine that wrote this
page, whatever else it did. *Large* proofs are not part of `make test`. *Planted faults* must each
make the proof fail: `blindvisor prove --control`; sizes of one proof share them.

| proof | promises | outcome | engine | claims + covers | flip-flops | seconds | large | faults |
|---|---|---|---|---|---|---|---|---|
"""


def render(proofs: Iterable[Proof], verdicts: Mapping[str, Verdict]) -> str:
    """Return the page in Markdown; a proof without a verdict says so."""
    return _HEAD + "".join(_row(proof, verdicts.get(proof.name)) for proof in proofs)


def _row(proof: Proof, verdict: Verdict | None) -> str:
    size = time = claims = ""
    if verdict is not None and verdict.outcome is Outcome.PROVEN:
        claims = f"{verdict.counts['assert']} + {verdict.counts['cover']}"
        size, time = f"{verdict.registers:,}", f"{verdict.seconds:.0f}"
    cells = (
        f"`{proof.name}`",
        " ".join(proof.promises),
        "not run" if verdict is None else verdict.outcome.value,
        proof.engine.value,
        claims,
        size,
        time,
        "yes" if proof.large else "",
        ", ".join(f"`{fault}`" for fault in proof.controls),
    )
    return f"| {' | '.join(cells)} |\n"
