# SPDX-License-Identifier: Apache-2.0
"""All attacks. A new one is a line here and a function in the module of its subject."""

from blindvisor.verification.attacks.attack import Attack
from blindvisor.verification.attacks.calls import CALL_ATTACKS
from blindvisor.verification.attacks.channels import CHANNEL_ATTACKS
from blindvisor.verification.attacks.images import IMAGE_ATTACKS
from blindvisor.verification.attacks.interference import INTERFERENCE_ATTACKS
from blindvisor.verification.attacks.memory import MEMORY_ATTACKS
from blindvisor.verification.attacks.ownership import OWNERSHIP_ATTACKS
from blindvisor.verification.attacks.pieces import PIECE_ATTACKS
from blindvisor.verification.attacks.resets import RESET_ATTACKS
from blindvisor.verification.attacks.residue import RESIDUE_ATTACKS
from blindvisor.verification.attacks.saves import SAVE_ATTACKS
from blindvisor.verification.attacks.timing import TIMING_ATTACKS

__all__ = ["ATTACKS", "DEMO_ATTACKS", "find_attacks"]

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for attack in (
        *OWNERSHIP_ATTACKS,
        *CALL_ATTACKS,
        *IMAGE_ATTACKS,
        *PIECE_ATTACKS,
        *SAVE_ATTACKS,
        *CHANNEL_ATTACKS,
        *RESIDUE_ATTACKS,
        *RESET_ATTACKS,
        *MEMORY_ATTACKS,
        *TIMING_ATTACKS,
        *INTERFERENCE_ATTACKS,
    )
}
"""By name: what a hypervisor can do alone, then with a VM, then a VM alone."""

DEMO_ATTACKS = tuple(attack for attack in ATTACKS.values() if attack.shown)
"""One or more of each kind: what ``blindvisor demo`` has time for."""


def find_attacks(names: list[str]) -> list[Attack]:
    """Return the attacks of these names, all without one.

    Raises
    ------
    :exc:`ValueError`
        If a name is unknown.
    """
    for name in names:
        if name not in ATTACKS:
            raise ValueError(f"attack must be one of {', '.join(ATTACKS)}, not {name}")
    return [ATTACKS[name] for name in names] if names else list(ATTACKS.values())
