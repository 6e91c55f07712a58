# SPDX-License-Identifier: Apache-2.0
"""Reads the threat models: who attacks, how, which promise, and after which published attack.

One file per model, ``published.toml`` for the publications. What an attack is about stands there
alone; :mod:`blindvisor.verification.attacks` has its code, under the same name.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ENTRIES", "MODELS", "PUBLISHED", "Entry", "Model", "Publication", "ThreatError"]

FOLDER = Path(__file__).parent

_ORDER = ("hypervisor", "vm", "together", "device", "author", "neighbour")


class ThreatError(ValueError):
    """A file of threats that does not hold what it must."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """A published attack or flaw: its short name, what went wrong, and where to read it."""

    name: str
    flaw: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Model:
    """Who attacks.

    Members
    -------
    title : :class:`str`
        What it is called.
    holds, lacks : :class:`tuple` of :class:`str`
        What is in the attacker's hands, and what is not.
    missing : :class:`str`
        Why there is no attack of this kind yet, if there is none.
    """

    title: str
    holds: tuple[str, ...]
    lacks: tuple[str, ...]
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What an attack is about.

    Members
    -------
    name : :class:`str`
        What the command line calls it.
    threat : :class:`str`
        Title of its model.
    promises : :class:`tuple` of :class:`str`
        What would be broken.
    goal : :class:`str`
        What the attacker wants, one sentence without a subject.
    steps : :class:`tuple` of :class:`str`
        How it tries to get it.
    denial : :class:`str`
        What the machine must answer.
    controls : :class:`tuple` of :class:`str`
        Planted faults, with each of which it must succeed.
    modelled_on : :class:`tuple` of :class:`str`
        Keys of :data:`PUBLISHED`.
    """

    name: str
    threat: str
    promises: tuple[str, ...]
    goal: str
    steps: tuple[str, ...]
    denial: str
    controls: tuple[str, ...]
    modelled_on: tuple[str, ...] = ()

    @property
    def published(self) -> str:
        """Names of the publications."""
        return ", ".join(PUBLISHED[key].name for key in self.modelled_on)


def _made(kind: type[Any], where: str, values: Mapping[str, Any]) -> Any:
    fixed = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    try:
        return kind(**fixed)
    except TypeError as error:
        raise ThreatError(f"{where} must hold the fields of {kind.__name__}: {error}") from error


def read(
    folder: Path,
) -> tuple[dict[str, Model], dict[str, Publication], dict[str, Entry]]:
    """Return models, publications and attacks of a folder.

    Raises
    ------
    :exc:`ThreatError`
        If a field is missing or unknown, an attack is there twice, a publication is not there, or
        a model neither has attacks nor says why.
    """
    texts = {path.stem: tomllib.loads(path.read_text()) for path in sorted(folder.glob("*.toml"))}
    published = {
        key: _made(Publication, f"{key} in published.toml", values)
        for key, values in texts.pop("published").items()
    }
    models: dict[str, Model] = {}
    entries: dict[str, Entry] = {}
    for stem in sorted(texts, key=lambda name: (*(name != known for known in _ORDER), name)):
        values = texts[stem]
        attacks = values.pop("attacks", {})
        models[stem] = model = _made(Model, f"{stem}.toml", values)
        if bool(attacks) == bool(model.missing):
            raise ThreatError(f"{stem}.toml must have either attacks or a reason in `missing`")
        for name, fields in attacks.items():
            if name in entries:
                raise ThreatError(f"attack {name} must be in one file, not in {stem}.toml again")
            where = f"attack {name} in {stem}.toml"
            entry = _made(Entry, where, {"name": name, "threat": model.title, **fields})
            for key in entry.modelled_on:
                if key not in published:
                    raise ThreatError(f"{where} must name one of published.toml, not {key}")
            entries[name] = entry
    return models, published, entries


MODELS, PUBLISHED, ENTRIES = read(FOLDER)
"""Models by file, publications by key, attacks by name."""
