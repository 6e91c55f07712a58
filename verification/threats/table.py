# SPDX-License-Identifier: Apache-2.0
"""Threats, promises and attacks as a page: ``python -m blindvisor.verification.threats.table``."""

from collections.abc import Iterator
from pathlib import Path

from blindvisor.sw.files import write_whole
from blindvisor.verification.attacks.attack import Attack
from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.promises import IDENTIFIERS
from blindvisor.verification.threats.catalogue import ENTRIES, MODELS, PUBLISHED, Model

__all__ = ["PAGE", "problems", "render"]

PAGE = Path(__file__).parents[2] / "docs" / "threats.md"

_HEAD = """\
# Threats, promises, attacks

Made by `python -m blindvisor.verification.threats.table` from `verification/threats/*.toml`; do
not edit. The files say who attacks, what for, and what the machine must answer; the code of each
attack is in `verification/attacks/`, under the same name. `blindvisor attack NAME` carries it out
on RTL; with `--plant FAULT` and one of its controls it must succeed. What the promises say:
[promises.md](promises.md).
"""


def _of(model: Model) -> list[Attack]:
    return [attack for attack in ATTACKS.values() if attack.threat == model.title]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _overview() -> Iterator[str]:
    yield "## Which threat is tried against which promise\n"
    yield _row("", *(model.title for model in MODELS.values()))
    yield _row(*["---"] * (1 + len(MODELS)))
    for promise in IDENTIFIERS:
        cells = []
        for model in MODELS.values():
            names = [attack.name for attack in _of(model) if promise in attack.promises]
            cells.append(", ".join(names) if names else "-")
        yield _row(promise, *cells)
    yield (
        "\nA dash is no claim that the threat cannot touch the promise: there is no attack of this"
        " kind against it here."
    )


def _model(model: Model) -> Iterator[str]:
    yield f"\n## {model.title[0].upper()}{model.title[1:]}\n"
    yield f"Holds {'; '.join(model.holds)}. Does not have {'; '.join(model.lacks)}."
    if model.missing:
        yield f"\n**No attacks yet.** {model.missing}"
        return
    yield ""
    heads = ("wants to", "how", "against", "must be answered by", "modelled on", "controls")
    yield _row("attack", *heads)
    yield _row(*["---"] * 7)
    for attack in _of(model):
        yield _row(
            f"`{attack.name}`",
            attack.goal,
            "; ".join(attack.steps),
            " ".join(attack.promises),
            attack.denial,
            attack.published,
            " ".join(f"`{name}`" for name in attack.controls),
        )


def _published() -> Iterator[str]:
    yield "\n## Published attacks that these are modelled on\n"
    yield _row("", "what went wrong", "attacks here", "source")
    yield _row(*["---"] * 4)
    for key, item in PUBLISHED.items():
        names = ", ".join(name for name, entry in ENTRIES.items() if key in entry.modelled_on)
        yield _row(item.name, item.flaw, names, item.source)


def render() -> str:
    """Return the page."""
    lines = [_HEAD, *_overview()]
    for model in MODELS.values():
        lines += _model(model)
    return "\n".join([*lines, *_published(), ""])


def problems() -> list[str]:
    """Return what does not fit together: nothing, if all is well."""
    found = [f"attack {name} has no code" for name in ENTRIES if name not in ATTACKS]
    found += [f"attack {name} has no entry" for name in ATTACKS if name not in ENTRIES]
    used = {key for entry in ENTRIES.values() for key in entry.modelled_on}
    found += [f"nothing is modelled on {key}" for key in PUBLISHED if key not in used]
    if not PAGE.is_file() or PAGE.read_text() != render():
        found.append(f"docs/{PAGE.name} is stale: python -m blindvisor.verification.threats.table")
    return found


if __name__ == "__main__":
    write_whole(PAGE, render().encode())
