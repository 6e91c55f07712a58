# SPDX-License-Identifier: Apache-2.0
"""What an attack is, as data, and how it ends."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from blindvisor.verification.attacks.world import World

__all__ = ["Attack", "Outcome", "Step", "Threat", "Verdict"]


class Threat(StrEnum):
    """Who attacks."""

    HYPERVISOR = "compromised hypervisor"
    VM = "malicious VM"
    BOTH = "hypervisor and VM together"
    AUTHOR = "malicious image author"


class Verdict(StrEnum):
    """How an attack ended."""

    DENIED = "DENIED"
    SUCCEEDED = "SUCCEEDED"
    BROKEN = "BROKEN"  # it could not be carried out, so it proves nothing


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One attack.

    Parameters
    ----------
    name : :class:`str`
        What the command line calls it.
    threat : :class:`Threat`
        Who attacks.
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
    modelled_on : :class:`str`
        Published attack, if there is one.
    shown : :class:`bool`
        Whether ``blindvisor demo`` carries it out too.
    run : callable
        Carries it out and reports what it got to the :class:`World`; that judges.
    """

    name: str
    threat: Threat
    promises: tuple[str, ...]
    goal: str
    steps: tuple[str, ...]
    denial: str
    controls: tuple[str, ...]
    run: "Callable[[World], None]"
    modelled_on: str = ""
    shown: bool = True

    def as_dict(self) -> dict[str, Any]:
        """All of it that is data."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "run"}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}


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
