# SPDX-License-Identifier: Apache-2.0
"""What an attack is, as data, and how it ends."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from blindvisor.verification.threats.catalogue import ENTRIES, Entry, ThreatError

if TYPE_CHECKING:
    from blindvisor.verification.attacks.world import World

__all__ = ["Attack", "Outcome", "Step", "Verdict", "attack"]


class Verdict(StrEnum):
    """How an attack ended."""

    DENIED = "DENIED"
    SUCCEEDED = "SUCCEEDED"
    BROKEN = "BROKEN"  # it could not be carried out, so it proves nothing


@dataclass(frozen=True, kw_only=True)
class Attack(Entry):
    """One attack: what it is about (``verification/threats/``), and what carries it out.

    Parameters
    ----------
    run : callable
        Carries it out and reports what it got to the :class:`World`; that judges.
    shown : :class:`bool`
        Whether ``blindvisor demo`` carries it out too.
    """

    run: "Callable[[World], None]"
    shown: bool = True

    def as_dict(self) -> dict[str, Any]:
        """All of it that is data."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "run"}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}


def attack(name: str, run: "Callable[[World], None]", *, shown: bool = True) -> Attack:
    """Return the attack of a name that the threat models have.

    Raises
    ------
    :exc:`~blindvisor.verification.threats.catalogue.ThreatError`
        If they have none.
    """
    if name not in ENTRIES:
        raise ThreatError(f"attack {name} must have an entry in a file of verification/threats/")
    return Attack(**vars(ENTRIES[name]), run=run, shown=shown)


@dataclass(frozen=True)
class Step:
    """What was tried, and what the machine answered."""

    tried: str
    answer: str


@dataclass(kw_only=True)
class Outcome:
    """How one attack ended.

    Members
    -------
    gains : list of :class:`str`
        What the attacker got; empty: nothing.
    surprises : list of :class:`str`
        Answers that were not the ones the contract asks for. An attack that was denied in
        an unexpected way is no success, but not right either.
    steps : list of :class:`Step`
        What was tried.
    problem : :class:`str`
        Why it is BROKEN.
    cycles : :class:`int`
        What it took, or 0 where nothing counts them.
    """

    name: str
    verdict: Verdict
    gains: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    problem: str = ""
    cycles: int = 0

    @property
    def blocked(self) -> bool:
        """Denied, and in the way the contract asks for."""
        return self.verdict is Verdict.DENIED and not self.surprises

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Undo :meth:`as_dict`."""
        steps = [Step(**step) for step in values["steps"]]
        return cls(**values | {"verdict": Verdict(values["verdict"]), "steps": steps})
