# SPDX-License-Identifier: Apache-2.0
"""Planted faults of the I/O network, channel guard and monitor that proofs alone can see."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["IO_PROOF_FAULTS"]


def _one(name: str, promises: tuple[str, ...], breaks: str, file: str, old: str, new: str) -> Fault:
    return Fault(name=name, promises=promises, breaks=breaks, edits=(Edit(file, old, new),))


IO_PROOF_FAULTS = (
    _one(
        "leaf-any-slot",
        ("P12",),
        "a leaf speaks in every I/O slot",
        "ionet/node.py",
        "                with m.If(own_slot):\n"
        "                    m.d.comb += self.up.eq(Cat(1, kept))",
        "                with m.If(~self.down.lane):\n"
        "                    m.d.comb += self.up.eq(Cat(1, kept))",
    ),
    _one(
        "leaf-forgets-slot",
        ("P10", "P12"),
        "a leaf takes an answer in whosever slot it comes",
        "ionet/node.py",
        "with m.If(own_slot & self.down.valid):",
        "with m.If(~self.down.lane & self.down.valid):",
    ),
    _one(
        "tree-last-unheard",
        ("P12",),
        "the last node or leaf of a level is not heard while the first speaks",
        "ionet/tree.py",
        "(child.as_value() for child in ups[children]))",
        "(\n"
        "                    child.as_value() & ~ups[0].valid.replicate(UP_FLIT.size)\n"
        "                    if child is ups[-1]\n"
        "                    else child.as_value()\n"
        "                    for child in ups[children]\n"
        "                ))",
    ),
    _one(
        "tree-levels-skipped",
        ("P3", "P12"),
        "leaves below the root's first child are told a cycle early",
        "ionet/tree.py",
        "to_children += [child.eq(node_downs[node]) for child in downs[children]]",
        "to_children += [\n"
        "                    child.eq(self.down if level and not node else node_downs[node])\n"
        "                    for child in downs[children]\n"
        "                ]",
    ),
    _one(
        "root-early",
        ("P10",),
        "the root takes a request for one of the slot after",
        "ionet/root.py",
        "init=-depth % clusters)",
        "init=(1 - depth) % clusters)",
    ),
    _one(
        "root-other-slot",
        ("P10", "P12"),
        "the root sends the answer that it sent before to the next cluster",
        "ionet/root.py",
        "read.addr.eq(next_slot),",
        "read.addr.eq(slot),",
    ),
    _one(
        "attest-kept",
        ("P10",),
        "the attestation channel gives a new owner the last one's report",
        "iocluster/attest.py",
        "return ResetInserter(self.guest.clear)(m)",
        "return ResetInserter(Signal())(m)",
    ),
    _one(
        "attest-early",
        ("P10",),
        "words that are left of the last report can be read before a new one is there",
        "iocluster/attest.py",
        "end.arriving.valid.eq(phase == _Phase.READ),",
        "end.arriving.valid.eq(phase != _Phase.NONCE),",
    ),
    _one(
        "attest-waits",
        ("P12",),
        "the owner of the attestation channel can hold the loader up",
        "iocluster/attest.py",
        "words.ready.eq(phase == _Phase.REPORT),",
        "words.ready.eq((phase == _Phase.REPORT) & ~self.guest.access.valid),",
    ),
    _one(
        "lane-everybody",
        ("P3", "P12"),
        "every leaf takes a lane command that names one",
        "ionet/node.py",
        "for_us = ~command.named | (command.cluster == self.index)",
        "for_us = ~command.named | (command.cluster >= 0)",
    ),
    _one(
        "answer-everybody",
        ("P12",),
        "a leaf shows its cluster all answers",
        "ionet/node.py",
        "with m.If(own_slot & self.down.valid):",
        "with m.If(~self.down.lane & self.down.valid):",
    ),
    _one(
        "interrupts-everybody",
        ("P11", "P12"),
        "a leaf shows its cluster the interrupt levels of all",
        "ionet/node.py",
        "        with m.If(own_slot):\n            m.d.sync += self.interrupts",
        "        with m.If(~self.down.lane):\n            m.d.sync += self.interrupts",
    ),
    _one(
        "slot-taken-twice",
        ("P12",),
        "a leaf speaks in the slot of its neighbour",
        "ionet/node.py",
        "own_slot.eq(~self.down.lane & (self.down.slot == self.index))",
        "own_slot.eq(~self.down.lane & ((self.down.slot | 1) == (self.index | 1)))",
    ),
    _one(
        "frame-stretched",
        ("P12",),
        "the root stays in a slot for as long as somebody asks",
        "ionet/root.py",
        "        with m.If(lane):\n            m.d.sync += [slot.eq(next_slot), heard",
        "        with m.If(lane & ~self.up.valid):\n"
        "            m.d.sync += [slot.eq(next_slot), heard",
    ),
    _one(
        "guard-serves-all",
        ("P10", "P11"),
        "the guard serves every cluster on every channel",
        "iocluster/guard.py",
        "owned.eq(Cat((row.owner == owner) & (owner != 0) for row in rows)),",
        "owned.eq((1 << self.config.channels) - 1),",
    ),
    _one(
        "guard-nobody",
        ("P8", "P10"),
        "a cluster without an owner is served on channels without an owner",
        "iocluster/guard.py",
        "owned.eq(Cat((row.owner == owner) & (owner != 0) for row in rows)),",
        "owned.eq(Cat(row.owner == owner for row in rows)),",
    ),
    _one(
        "guard-interrupts",
        ("P11",),
        "interrupts of all channels reach every cluster",
        "iocluster/guard.py",
        "self.root.interrupts.eq(owned & Cat(",
        "self.root.interrupts.eq(Cat(",
    ),
    _one(
        "guard-silent",
        ("P8",),
        "a refused request looks like a good one",
        "iocluster/guard.py",
        'self.root.answer.eq(ANSWER.const({"error": 1}))',
        'self.root.answer.eq(ANSWER.const({"error": 0}))',
    ),
    _one(
        "guard-uncounted",
        ("P9",),
        "refused reads are not counted",
        "iocluster/guard.py",
        "with m.Elif(denied != 2**DENIED_WIDTH - 1):",
        "with m.Elif(request.write & (denied != 2**DENIED_WIDTH - 1)):",
    ),
    _one(
        "stop-all",
        ("P12",),
        "a STOP for another VM stops the cluster",
        "smmu/lifecycle.py",
        "                with m.Case(LaneOp.STOP):\n                    with m.If(ours & (",
        "                with m.Case(LaneOp.STOP):\n"
        "                    with m.If(~self.command.named & (",
    ),
    _one(
        "leaf-freeze-all",
        ("P3", "P12"),
        "the cluster that hears a FREEZE freezes, whoever it is for",
        "smmu/lifecycle.py",
        "with m.If(ours & self.run):",
        "with m.If(self.run):",
    ),
    _one(
        "monitor-owner-unasked",
        ("P3",),
        "every command that a cluster accepts changes the table of owners",
        "iocluster/passes.py",
        "                                (order.op == LaneOp.CLAIM) | (order.op == LaneOp.FREE)\n",
        "                                order.op != LaneOp.NONE\n",
    ),
    _one(
        "monitor-owner-refused",
        ("P3",),
        "a cluster that refused CLAIM counts as owned",
        "iocluster/passes.py",
        "with m.If(~self.lane.reply.ok):",
        "with m.If(~self.lane.reply.ok & (order.op != LaneOp.CLAIM)):",
    ),
    _one(
        "monitor-loader-commands",
        ("P3",),
        "the loader can send every command",
        "iocluster/monitor.py",
        "op.eq(Mux(wanted.op.as_value() == access, access, LaneOp.ADDRESS)),",
        "op.eq(wanted.op),",
    ),
    _one(
        "monitor-frees-unscrubbed",
        ("P5",),
        "clusters of a VM are freed without having been asked whether they are clean",
        "iocluster/sequences.py",
        '("SCRUB", LaneOp.SCRUB, "CLEAN", {}),',
        '("SCRUB", LaneOp.SCRUB, "FREE", {}),',
    ),
    _one(
        "monitor-claims-nothing",
        ("P4",),
        "a VM is created without its clusters",
        "iocluster/sequences.py",
        'm.next = "CLAIM"',
        'm.next = "CREATED"',
    ),
    _one(
        "monitor-keeps-clusters",
        ("P4",),
        "a destroyed VM keeps its clusters",
        "iocluster/sequences.py",
        '("CLEAN", LaneOp.STATUS, "FREE", {"until": Until.CLEAN}),',
        '("CLEAN", LaneOp.STATUS, "FREED", {"until": Until.CLEAN}),',
    ),
    _one(
        "monitor-asks-before",
        ("P8",),
        "a call that is refused has spoken to clusters",
        "iocluster/sequences.py",
        "LaneOp.NONE,\n            first=y",
        "LaneOp.STATUS,\n            first=y",
    ),
    _one(
        "monitor-unknown-hangs",
        ("P8",),
        "a call that does not exist never ends",
        "iocluster/checks.py",
        "s.end(Result.UNKNOWN_CALL)",
        'm.next = "CHECK"',
    ),
    _one(
        "monitor-loader-code",
        ("P8",),
        "a call ends with whatever code the loader says",
        "iocluster/images.py",
        "with m.Case(*_LOADER_RESULTS):",
        "with m.Default():",
    ),
    _one(
        "monitor-unknown-ok",
        ("P8",),
        "a call that does not exist ends well",
        "iocluster/checks.py",
        "s.end(Result.UNKNOWN_CALL)",
        "s.end(Result.OK)",
    ),
)
"""In the order of the design's parts."""
