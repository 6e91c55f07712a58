# SPDX-License-Identifier: Apache-2.0
"""Planted faults in the I/O cluster: monitor, register file, channels, loader."""

from blindvisor.verification.controls.clusters import (
    CLAIM_ANYTHING,
    GRANTED_ALWAYS,
    LANE_READS_ALWAYS,
    LANE_WRITES_ALWAYS,
    TABLE_NEVER_CLEARED,
)
from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["IOCLUSTER_FAULTS"]

GUARD = Edit(
    "iocluster/guard.py",
    "owned.eq(Cat((row.owner == owner) & (owner != 0) for row in rows)),",
    "owned.eq(Cat((row.owner == owner) | (owner != 0) for row in rows)),",
)
"""The guard serves every VM."""

REVOKE_FORGOTTEN = Edit(
    "iocluster/sequences.py",
    "data=Cat(self.guest, number, C(0, 1)),",
    "data=Cat(self.guest, number, C(1, 1)),",
)
"""The former owner's clusters keep their row of the channel table."""

STATUS_READS = (
    Edit(
        "iocluster/status.py",
        "LaneOp.FAULT,\n        first=index,",
        "LaneOp.READ,\n        first=index,",
    ),
    Edit(
        "iocluster/status.py",
        "answer(lifecycle, s.sweep.holder, faults.count, faults.first)",
        "answer(lifecycle, s.sweep.holder, s.sweep.reply)",
    ),
)

START_ANY_STATE = Edit(
    "iocluster/checks.py",
    "refuse((bad_vm(arg0), Result.BAD_VM), (state != needed, Result.WRONG_STATE)),",
    "refuse((bad_vm(arg0), Result.BAD_VM),"
    " ((state != needed) & (call is not Call.VM_START), Result.WRONG_STATE)),",
)

LOAD_ANY_STATE = Edit(
    "iocluster/checks.py",
    "refuse((bad_vm(arg0), Result.BAD_VM), (state != needed, Result.WRONG_STATE)),",
    "refuse((bad_vm(arg0), Result.BAD_VM),"
    " ((state != needed) & (call is not Call.VM_LOAD), Result.WRONG_STATE)),",
)

_MATCH = "self.match.eq(mask == given.data),"

IOCLUSTER_FAULTS = (
    Fault(
        name="status-reads-memory",
        promises=("P1", "P9"),
        breaks="STATUS of a cluster shows a word of its memory while it is frozen",
        edits=STATUS_READS,
    ),
    Fault(
        name="lane-reads-always",
        promises=("P1", "P9"),
        breaks="STATUS of a cluster shows a word of its memory in every state",
        edits=(*STATUS_READS, LANE_READS_ALWAYS),
    ),
    Fault(
        name="claim-owned",
        promises=("P3", "P4"),
        breaks="VM_CREATE takes clusters that another VM owns",
        edits=(
            Edit(
                "iocluster/sequences.py",
                "            height=height,\n            holder=0,\n",
                "            height=height,\n            holder=0,\n"
                "            others=Others.SERVE,\n",
            ),
            Edit(
                "iocluster/sequences.py",
                "(row.height - 1)[:4]),\n            holder=0,\n",
                "(row.height - 1)[:4]),\n            holder=0,\n            others=Others.SERVE,\n",
            ),
            CLAIM_ANYTHING,
        ),
    ),
    Fault(
        name="rectangle-check",
        promises=("P4",),
        breaks="VM_CREATE accepts a rectangle that reaches beyond the mesh",
        edits=(Edit("iocluster/checks.py", "        | (arg1 + arg3 > config.width)\n", ""),),
    ),
    Fault(
        name="command-anywhere",
        promises=("P8",),
        breaks="a write of an address without a register starts a call",
        edits=(
            Edit(
                "iocluster/port.py",
                "with m.Case(register.COMMAND.value):",
                "with m.Case(register.COMMAND.value, 0xF00):",
            ),
        ),
    ),
    Fault(
        name="unknown-call-launches",
        promises=("P6", "P8"),
        breaks="a call number that means nothing starts the VM",
        edits=(
            Edit(
                "iocluster/checks.py",
                "        with m.Default():\n            s.end(Result.UNKNOWN_CALL)",
                '        with m.Default():\n            m.next = "LAUNCH"',
            ),
        ),
    ),
    Fault(
        name="free-before-clean",
        promises=("P5",),
        breaks="clusters are free as soon as their scrub has begun",
        edits=(
            Edit(
                "iocluster/sequences.py",
                '("CLEAN", LaneOp.STATUS, "FREE", {"until": Until.CLEAN}),',
                '("CLEAN", LaneOp.STATUS, "FREE", {}),',
            ),
            Edit(
                "smmu/lifecycle.py",
                "with m.If(self.command.named & scrubbing & clean):",
                "with m.If(self.command.named & scrubbing & (zeroing | clean)):",
            ),
        ),
    ),
    Fault(
        name="load-any-state",
        promises=("P2", "P6"),
        breaks="VM_LOAD writes into the clusters of a running VM",
        edits=(
            LOAD_ANY_STATE,
            LANE_WRITES_ALWAYS,
            Edit(
                "cluster/laneport.py",
                "with m.If(named & (self.command.op == LaneOp.ADDRESS) & (self.load | self.save)):",
                "with m.If(named & (self.command.op == LaneOp.ADDRESS)):",
            ),
        ),
    ),
    Fault(
        name="start-any-state",
        promises=("P6",),
        breaks="VM_START starts a VM without an image",
        edits=(START_ANY_STATE,),
    ),
    Fault(
        name="failed-load-kept",
        promises=("P6",),
        breaks="a VM whose load failed stays, contents included, and VM_START starts it",
        edits=(
            START_ANY_STATE,
            Edit(
                "iocluster/images.py",
                "                    s.destroy_and_end(result)",
                "                    s.end(result)",
            ),
        ),
    ),
    Fault(
        name="arguments-not-latched",
        promises=("P6",),
        breaks="the VM that a load makes READY is what ARG0 names at its end",
        edits=(
            Edit(
                "iocluster/images.py",
                'with m.State("LENT"):\n',
                'with m.State("LENT"):\n        m.d.sync += s.vm.eq(s.calls.arguments[0])\n',
            ),
        ),
    ),
    Fault(
        name="staging-kept",
        promises=("P6",),
        breaks="words left in STAGING by one load are the first of the next",
        edits=(
            Edit(
                "iocluster/staging.py",
                "m.submodules.fifo = ResetInserter(~self.opened)(fifo)",
                "m.submodules.fifo = ResetInserter(Signal())(fifo)",
            ),
        ),
    ),
    Fault(
        name="contents-tag",
        promises=("P6",),
        breaks="the loader accepts contents whatever their tag is",
        edits=(
            Edit(
                "loader/loading.py",
                "            with m.If(~gcm.match):\n                s.end(Result.IMAGE_TAG)\n",
                "",
            ),
        ),
    ),
    Fault(
        name="tag-32-bits",
        promises=("P6",),
        breaks="tags are compared over 32 of their 128 bits",
        edits=(Edit("loader/gcm.py", _MATCH, "self.match.eq(mask[:32] == given.data[:32]),"),),
    ),
    Fault(
        name="key-tag",
        promises=("P6",),
        breaks="the loader accepts a wrapped key whatever its tag is",
        edits=(
            Edit(
                "loader/loading.py",
                "            with m.If(~gcm.match):\n                s.end(Result.IMAGE_KEY)\n",
                "",
            ),
        ),
    ),
    Fault(
        name="loader-word-in-value",
        promises=("P7",),
        breaks="VALUE3 shows the word that the loader wrote last",
        edits=(
            Edit(
                "iocluster/monitor.py",
                "        with m.If(sequences.lent):\n",
                "        with m.If(sequences.lent & other.command.valid):\n"
                "            m.d.sync += sequences.values[3].eq(wanted.data)\n"
                "        with m.If(sequences.lent):\n",
            ),
        ),
    ),
    Fault(
        name="channel-taken",
        promises=("P10",),
        breaks="CHANNEL_GRANT takes a channel from its owner",
        edits=(
            Edit(
                "iocluster/checks.py",
                "                (row.owner != 0, Result.CHANNEL_TAKEN),\n",
                "",
            ),
        ),
    ),
    Fault(
        name="channel-not-cleared",
        promises=("P10",),
        breaks="a channel keeps its buffers when its owner changes",
        edits=(
            Edit(
                "iocluster/guard.py",
                "m.d.comb += device.clear.eq(changed)",
                "m.d.comb += device.clear.eq(0)",
            ),
        ),
    ),
    Fault(
        name="revoke-forgotten",
        promises=("P10",),
        breaks="a channel still serves the VM that it was revoked from",
        edits=(REVOKE_FORGOTTEN, GUARD),
    ),
    Fault(
        name="window-open",
        promises=("P10",),
        breaks="a guest channel that was never granted leads to physical channel 0",
        edits=(GRANTED_ALWAYS, GUARD),
    ),
    Fault(
        name="channels-kept",
        promises=("P10",),
        breaks="channels stay with the number of a VM that was destroyed",
        edits=(
            Edit(
                "iocluster/sequences.py",
                "with m.If(self.rows[channel].owner == self.vm):",
                "with m.If((self.rows[channel].owner == self.vm) & 0):",
            ),
            TABLE_NEVER_CLEARED,
        ),
    ),
    Fault(
        name="interrupts-ungated",
        promises=("P11",),
        breaks="a VM sees interrupts of a channel that was revoked from it",
        edits=(
            REVOKE_FORGOTTEN,
            Edit(
                "iocluster/guard.py",
                "self.root.interrupts.eq(owned & Cat(",
                "self.root.interrupts.eq(Cat(",
            ),
        ),
    ),
)
"""In the order of the promises, about."""
