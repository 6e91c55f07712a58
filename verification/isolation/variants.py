# SPDX-License-Identifier: Apache-2.0
"""The machines that are compared: the shipped one, and variants of its source."""

from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import Edit, Fault, together

__all__ = ["LEAKY", "UNCHECKED", "VARIANTS"]

UNCHECKED = Fault(
    name="unchecked",
    promises=("P1", "P2", "P8"),
    breaks="packets enter and leave every cluster without any check by the SMMU",
    edits=(
        Edit(
            "smmu/egress.py",
            "pass_head.eq(within & self.allow & (ownership.owner != 0)),",
            "pass_head.eq(1),",
        ),
        Edit(
            "smmu/ingress.py",
            "drop.eq(Mux(body, dropping, foreign | ~self.allow)),",
            "drop.eq(0),",
        ),
    ),
)
"""Addresses are still translated, so that the same guests run in the same places."""

_YIELDS = Fault(
    name="leaf-yields",
    promises=("P12",),
    breaks="a cluster's request waits a frame longer if others used the I/O network meanwhile",
    edits=(
        Edit(
            "ionet/node.py",
            "        phase = Signal(_Phase)\n",
            "        crowded = Signal()\n"
            "        with m.If(own_slot):\n"
            "            m.d.sync += crowded.eq(0)\n"
            "        with m.Elif(self.down.valid):\n"
            "            m.d.sync += crowded.eq(1)\n"
            "        phase = Signal(_Phase)\n",
        ),
        Edit(
            "ionet/node.py",
            "                with m.If(own_slot):\n                    m.d.comb += self.up",
            "                with m.If(own_slot & ~crowded):\n"
            "                    m.d.comb += self.up",
        ),
    ),
)

LEAKY = together([FAULTS["egress-slow"], FAULTS["flat-mesh"], _YIELDS])
"""The control of all that is said: an SMMU that looks at a packet for a cycle; packets that take
their way through, and into, the clusters of other VMs; an I/O network without slots of one's own.
Alone, a guest only notices the first of these."""

VARIANTS: dict[str, Fault | None] = {
    "shipped": None,
    "unchecked": UNCHECKED,
    "leaky": LEAKY,
}
"""By name; ``shipped``: without any edit."""
