# SPDX-License-Identifier: Apache-2.0
"""Planted faults for the proofs of the mesh's router."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["NOC_FAULTS"]


def _one(name: str, promises: tuple[str, ...], breaks: str, file: str, old: str, new: str) -> Fault:
    return Fault(name=name, promises=promises, breaks=breaks, edits=(Edit(file, old, new),))


NOC_FAULTS = (
    _one(
        "router-one-at-a-time",
        ("P12",),
        "only one input of a router moves at a time",
        "noc/router.py",
        "granted[i, output].eq(wants[i] & ~Cat(ahead).any()),",
        "granted[i, output].eq(\n"
        "                    wants[i]\n"
        "                    & ~Cat(ahead).any()\n"
        "                    & ~Cat(queues[p].valid for p in PORTS[: PORTS.index(i)]).any()\n"
        "                ),",
    ),
    _one(
        "router-shared-lock",
        ("P12",),
        "a packet begins only while no other output is within one",
        "noc/router.py",
        "(there & queue.valid & ~taken)",
        "(there & queue.valid & ~taken & ~Cat(held[p] for p in held if p[1] != output).any())",
    ),
    _one(
        "router-waits-for-all",
        ("P12",),
        "an input takes flits only while the local one has room",
        "noc/router.py",
        "source.ready.eq(queue.writer.ready),",
        "source.ready.eq(queue.writer.ready & self.local_in.ready)\n"
        '            if port == "north"\n'
        "            else source.ready.eq(queue.writer.ready),",
    ),
    _one(
        "router-looks-at-data",
        ("P2", "P12"),
        "routing depends on a bit of the stamp",
        "noc/router.py",
        "column = to.x == self.x",
        "column = (to.x == self.x) & ~source.payload.data[20]",
    ),
    _one(
        "fifo-overrun",
        ("P2",),
        "a full queue takes another flit",
        "noc/fifo.py",
        "written.eq(self.writer.valid & ~full),",
        "written.eq(self.writer.valid),",
    ),
    _one(
        "fifo-forgets",
        ("P2",),
        "a queue of two flits is empty after one has left",
        "noc/fifo.py",
        "empty.eq(~written & (empty | (taken & one_left))),",
        "empty.eq(~written & (empty | taken)),",
    ),
    _one(
        "router-interleaves",
        ("P2",),
        "another packet may come between two flits",
        "noc/router.py",
        "m.d.sync += taken.eq(Cat(stays).any())",
        "m.d.sync += taken.eq(0)",
    ),
    _one(
        "router-order-kept",
        ("P5", "P12"),
        "a router remembers over a change of the owner whom it served last",
        "noc/router.py",
        "[first.eq(1) for first in before.values()]",
        "[first.eq(first) for first in before.values()]",
    ),
    _one(
        "router-misroutes",
        ("P2", "P12"),
        "a packet moves along Y before X",
        "noc/router.py",
        "_less(self.x, to.x),",
        "_less(self.x, to.x) & (to.y == self.y),",
    ),
    _one(
        "router-unfair",
        ("P8",),
        "an output prefers the same input for ever",
        "noc/router.py",
        "m.d.sync += first.eq(0)",
        "m.d.sync += first.eq(1)",
    ),
    _one(
        "router-blocks",
        ("P8",),
        "a packet that has no legal way stays at the front of its queue",
        "noc/router.py",
        "                    lost\n                    | Cat(granted",
        "                    Cat(granted",
    ),
    _one(
        "router-routes-bodies",
        ("P2",),
        "every flit is routed as if it were a head flit",
        "noc/router.py",
        "m.d.sync += head.eq(source.payload.last)",
        "m.d.sync += head.eq(1)",
    ),
    _one(
        "mesh-places-swapped",
        ("P12",),
        "clusters are told their row as their column",
        "machine.py",
        "Cat(Const(x, 4), Const(y, 4))",
        "Cat(Const(y, 4), Const(x, 4))",
    ),
    _one(
        "mesh-diagonal",
        ("P12",),
        "the links to the east lead one row down",
        "machine.py",
        '("east", (1, 0))',
        '("east", (1, 1))',
    ),
    _one(
        "mesh-waits-together",
        ("P12",),
        "a link takes a flit only while the link to the east has one",
        "machine.py",
        "source.ready.eq(sink.ready),",
        "source.ready.eq(sink.ready & one.request_east_in.valid),",
    ),
)
"""First what lets domains interfere, then what loses or delays flits."""
