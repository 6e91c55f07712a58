# SPDX-License-Identifier: Apache-2.0
"""Planted faults that proofs alone can see: one check of several that keep the same promise."""

from blindvisor.verification.controls.clusters import CLAIM_ANYTHING, FOREIGN
from blindvisor.verification.controls.plant import Edit, Fault
from blindvisor.verification.controls.proofs_noc import NOC_FAULTS
from blindvisor.verification.controls.proofs_tile import TILE_FAULTS

__all__ = ["PROOF_FAULTS"]


def _one(name: str, promises: tuple[str, ...], breaks: str, file: str, old: str, new: str) -> Fault:
    return Fault(name=name, promises=promises, breaks=breaks, edits=(Edit(file, old, new),))


PROOF_FAULTS = (
    Fault(
        name="ingress-owner",
        promises=("P1", "P2"),
        breaks="ingress lets in packets of every owner",
        edits=(FOREIGN,),
    ),
    Fault(
        name="claim-anything",
        promises=("P3", "P4"),
        breaks="a cluster can be claimed in every state",
        edits=(CLAIM_ANYTHING,),
    ),
    _one(
        "resumed-kept",
        ("P5",),
        "a cluster still says that a VM was restored when that VM is gone",
        "smmu/lifecycle.py",
        "                            self.resumed.eq(0),\n",
        "",
    ),
    _one(
        "egress-own-cluster",
        ("P8",),
        "a packet to the cluster itself is sent into the mesh, which cannot deliver it",
        "smmu/egress.py",
        "                & (head.destination != self.own)\n",
        "",
    ),
    _one(
        "egress-unowned",
        ("P1", "P8"),
        "packets leave a cluster that nobody owns",
        "smmu/egress.py",
        "pass_head.eq(within & self.allow & (ownership.owner != 0)),",
        "pass_head.eq(within & self.allow),",
    ),
    _one(
        "egress-body-forgotten",
        ("P2",),
        "every flit of a packet is checked as if it were a head flit",
        "smmu/egress.py",
        "m.d.sync += body.eq(~flit.last)",
        "m.d.sync += body.eq(0)",
    ),
    _one(
        "egress-denial-unreported",
        ("P8", "P9"),
        "a denied request of several flits is swallowed without an answer",
        "smmu/egress.py",
        "self.denied.eq(self.inside.valid & swallow & flit.last),",
        "self.denied.eq(self.inside.valid & swallow & flit.last & ~body),",
    ),
    _one(
        "egress-delayed",
        ("P13",),
        "a packet waits for one cycle before it leaves",
        "smmu/egress.py",
        "self.outside.valid.eq(self.inside.valid & ~swallow),",
        "self.outside.valid.eq(self.inside.valid & ~swallow & body),",
    ),
    _one(
        "ingress-nobody",
        ("P1", "P8"),
        "a cluster without an owner takes packets with the stamp 0",
        "smmu/ingress.py",
        "(head.owner != self.owner) | (self.owner == 0)",
        "(head.owner != self.owner)",
    ),
    _one(
        "ingress-uncounted",
        ("P9",),
        "a dropped packet of several flits is not counted",
        "smmu/ingress.py",
        "with m.If(self.outside.valid & drop & flit.last):",
        "with m.If(self.outside.valid & drop & flit.last & ~body):",
    ),
    _one(
        "free-without-scrub",
        ("P5",),
        "a draining cluster can be freed before it is scrubbed",
        "smmu/lifecycle.py",
        "with m.If(self.command.named & scrubbing & clean):",
        "with m.If(self.command.named & scrubbing):",
    ),
    _one(
        "scrub-before-drained",
        ("P5",),
        "the scrub may start while something is in flight",
        "smmu/lifecycle.py",
        "drained.eq(scrubbing & ~zeroing & ~clean & self.quiet),",
        "drained.eq(scrubbing & ~zeroing & ~clean),",
    ),
    _one(
        "power-on-clean",
        ("P5", "P8"),
        "a cluster takes itself for clean at power-on",
        "smmu/lifecycle.py",
        "clean = Signal()\n",
        "clean = Signal(init=1)\n",
    ),
    _one(
        "freeze-resets",
        ("P6",),
        "cores run on in FROZEN",
        "smmu/lifecycle.py",
        "self.run.eq(state == ClusterState.RUNNING),",
        "self.run.eq(self.serve),",
    ),
    _one(
        "broadcast-to-all",
        ("P3",),
        "a broadcast for one owner moves the clusters of all",
        "smmu/lifecycle.py",
        "(self.command.data[:8] == self.ownership.owner)\n                & ",
        "",
    ),
    *TILE_FAULTS,
    *NOC_FAULTS,
)
"""In the order of the design's parts."""
