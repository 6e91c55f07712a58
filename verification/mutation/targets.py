# SPDX-License-Identifier: Apache-2.0
"""What is mutated, and which proofs judge it."""

from dataclasses import dataclass

__all__ = ["TARGETS", "Judge", "Target"]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A proof that judges mutants of a block.

    Parameters
    ----------
    proof : :class:`str`
        Its name.
    instances : :class:`tuple` of :class:`str`
        Names of the block in the specification; all of them are changed.
    steps : :class:`int`
        Time steps in which a counterexample is looked for before anything is proved.
    """

    proof: str
    instances: tuple[str, ...] = ("dut",)
    steps: int = 12


@dataclass(frozen=True, kw_only=True)
class Target:
    """A block.

    Parameters
    ----------
    judges : :class:`tuple` of :class:`Judge`
        The quickest first.
    most : :class:`int`
        Mutants, if no other number is asked for.
    parts : :class:`tuple` of :class:`str`
        Parts of it that are mutated, ``.NAME`` or nothing for itself; if empty all of it.
    large : :class:`bool`
        Mutated only if it is named, and not in the table.
    """

    judges: tuple[Judge, ...]
    most: int = 60
    parts: tuple[str, ...] = ()
    large: bool = False


def _alone(proof: str, *, most: int = 60, large: bool = False, steps: int = 12) -> Target:
    return Target(judges=(Judge(proof=proof, steps=steps),), most=most, large=large)


TARGETS = {
    **{
        name: _alone(name)
        for name in (
            *("egress", "ingress", "lifecycle", "faults", "channel-table"),
            *("lane-port", "target", "initiator", "window"),
        )
    },
    "interrupts": _alone("interrupts", most=40),
    "scrubber": _alone("scrubber", most=200, steps=34),
    "leaf": _alone("node"),
    "root": _alone("root", steps=20),
    "guard": _alone("guard"),
    "attest": _alone("attest", most=30, large=True, steps=3),
    "router": _alone("router", large=True),
    "monitor": _alone("monitor-ends-2", most=30, large=True, steps=3),
}
"""By name, in the order of the design's parts."""
