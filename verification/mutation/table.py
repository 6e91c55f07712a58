# SPDX-License-Identifier: Apache-2.0
"""The page of all scores, written from what became of the mutants."""

from collections import Counter
from collections.abc import Mapping, Sequence

from blindvisor.verification.mutation.judge import Fate, Judged
from blindvisor.verification.mutation.mutants import SEED
from blindvisor.verification.mutation.switch import LOST

__all__ = ["REQUIRED", "good", "render", "score", "undecided"]

REQUIRED = 0.95
"""Share of the mutants that must be killed, of those that are not proved to change nothing."""

_HEAD = f"""\
# Mutation: which small faults the proofs notice

Written by `blindvisor mutate --table`; do not edit. A mutant is the block with one wire of its
gates inverted, tied to 0 or 1, or inverted by another; which ones is drawn with seed {SEED}. How
they are judged, and what each word means, is in
[verification/mutation/README.md](../verification/mutation/README.md).

*Killed*: a proof has a counterexample from power-on, or its induction is lost: a state in which all
its claims hold is followed by one in which they do not. Of how many no counterexample is known, the
column *induction lost* says; such a mutant does something else there, but that the block comes to
that state is not shown. *Equivalent*: proved to do the same as the block, for all inputs and all
time, or for all that a proof of the block allows; these do not count. *Explained*: no proof fails,
and the reason is on file. *Open*: no proof fails and no reason is known, or nothing was shown in
time. The score is killed / (mutants - equivalent) and must be {REQUIRED:.0%}.

| block | mutants | killed | equivalent | explained | open | score | killed by | induction lost |
|---|---|---|---|---|---|---|---|---|
"""


def undecided(judged: Sequence[Judged]) -> list[Judged]:
    """Return those that are neither killed nor equivalent."""
    return [one for one in judged if one.fate not in (Fate.KILLED, Fate.EQUIVALENT)]


def score(judged: Sequence[Judged]) -> float:
    """Return the share of killed ones of those that are not equivalent."""
    counts = Counter(one.fate for one in judged)
    count = len(judged) - counts[Fate.EQUIVALENT]
    return counts[Fate.KILLED] / count if count else 0.0


def good(judged: Sequence[Judged]) -> bool:
    """Return whether enough are killed, and all survivors explained."""
    explained = all(one.fate is Fate.SURVIVED and one.why for one in undecided(judged))
    return explained and score(judged) >= REQUIRED


def render(results: Mapping[str, Sequence[Judged]]) -> str:
    """Return the page in Markdown."""
    return (
        _HEAD
        + "".join(_row(name, judged) for name, judged in results.items())
        + "\n## Survivors\n\n"
        + ("".join(_survivor(name, one) for name, one in _survivors(results)) or "None.\n")
    )


def _row(name: str, judged: Sequence[Judged]) -> str:
    counts = Counter(one.fate for one in judged)
    explained = sum(one.fate is Fate.SURVIVED and bool(one.why) for one in judged)
    lost = sum(one.fate is Fate.KILLED and one.by.endswith(LOST) for one in judged)
    judges = Counter(one.by.partition(":")[0] for one in judged if one.fate is Fate.KILLED)
    cells = (
        f"`{name}`",
        str(len(judged)),
        str(counts[Fate.KILLED]),
        str(counts[Fate.EQUIVALENT]),
        str(explained),
        str(len(undecided(judged)) - explained),
        f"{score(judged):.1%}",
        ", ".join(f"`{proof}` {count}" for proof, count in judges.most_common()),
        str(lost),
    )
    return f"| {' | '.join(cells)} |\n"


def _survivors(results: Mapping[str, Sequence[Judged]]) -> list[tuple[str, Judged]]:
    return [(name, one) for name, judged in results.items() for one in undecided(judged)]


def _survivor(name: str, one: Judged) -> str:
    return f"* `{name}`: `{one.mutant.name}` (`{one.mutant.where}`): {one.why or 'open'}\n"
