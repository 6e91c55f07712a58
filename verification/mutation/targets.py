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
    outputs : :class:`tuple` of :class:`str`
        What names of the block's outputs begin with, where its specification looks inside and what
        is seen there is no output; otherwise nothing.
    """

    proof: str
    instances: tuple[str, ...] = ("dut",)
    steps: int = 12
    outputs: tuple[str, ...] = ()


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
    compared : :class:`bool`
        Whether mutants are also compared with the block from power-on, for any inputs; otherwise
        only in the states in which the claims of a proof hold, which takes seconds whatever the
        size.
    large : :class:`bool`
        Mutated only if it is named, and not in the table.
    """

    judges: tuple[Judge, ...]
    most: int = 60
    parts: tuple[str, ...] = ()
    compared: bool = True
    large: bool = False


def _alone(
    proof: str,
    *,
    most: int = 60,
    large: bool = False,
    steps: int = 12,
    outputs: tuple[str, ...] = (),
    compared: bool = True,
) -> Target:
    judge = Judge(proof=proof, steps=steps, outputs=outputs)
    return Target(judges=(judge,), most=most, compared=compared, large=large)


_MONITOR = (
    *("calls__", "lane__", "load__", "loader_lane__", "staging_", "saved_opened", "update"),
    "guard_owner",
)
_PORTS = ("blocks__", "idle", "refused", "lane__")
"""Their ports; the specifications read their registers, too."""

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
    "attest": _alone("attest", most=40, compared=False, steps=3),
    "router": _alone("router", compared=False),
    "monitor": Target(
        judges=(Judge(proof="monitor-words", steps=3, outputs=_MONITOR),), compared=False
    ),
    "smmu": Target(judges=(Judge(proof="smmu", steps=6),), parts=("",)),
    "header-check": _alone("header-check"),
    "cluster-writer": _alone("cluster-writer", outputs=_PORTS, compared=False),
    "cluster-reader": _alone("cluster-reader", outputs=_PORTS, compared=False),
    "save-number": Target(
        judges=(Judge(proof="save-number", steps=3), Judge(proof="save-numbers-all", steps=3)),
        compared=False,
    ),
    "versions": _alone("versions"),
}
"""By name, in the order of the design's parts."""
