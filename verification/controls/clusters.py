# SPDX-License-Identifier: Apache-2.0
"""Planted faults in the compute clusters: SMMU, scrubber, lane port, interrupts."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = [
    "CLUSTER_FAULTS",
    "GRANTED_ALWAYS",
    "LANE_READS_ALWAYS",
    "LANE_WRITES_ALWAYS",
    "TABLE_NEVER_CLEARED",
]

_WITHIN = """\
                (head.destination.x <= ownership.last.x)
                & (head.destination.y <= ownership.last.y)
                & (head.destination != self.own)
"""

RECTANGLE = Edit("smmu/egress.py", _WITHIN, "                head.destination != self.own\n")
"""Egress lets packets leave the VM's rectangle."""

FOREIGN = Edit(
    "smmu/ingress.py",
    "foreign.eq((head.owner != self.owner) | (self.owner == 0))",
    "foreign.eq(0)",
)
"""Ingress serves everybody's packets."""

LANE_WRITES_ALWAYS = Edit(
    "cluster/laneport.py",
    "self.write.eq(named & (self.command.op == LaneOp.WRITE) & self.load & inside)",
    "self.write.eq(named & (self.command.op == LaneOp.WRITE) & inside)",
)

LANE_READS_ALWAYS = Edit(
    "cluster/laneport.py",
    "self.read.eq(named & (self.command.op == LaneOp.READ) & self.save & inside)",
    "self.read.eq(named & (self.command.op == LaneOp.READ) & inside)",
)

GRANTED_ALWAYS = Edit(
    "smmu/channels.py",
    "m.d.comb += [self.granted.eq(valid), self.channel.eq(channel)]",
    "m.d.comb += [self.granted.eq(1), self.channel.eq(channel)]",
)

TABLE_NEVER_CLEARED = Edit(
    "smmu/smmu.py",
    "channels.clear.eq(~(lifecycle.load | lifecycle.serve)),",
    "channels.clear.eq(0),",
)

CLAIM_ANYTHING = Edit(
    "smmu/lifecycle.py",
    "self.command.named & (state == ClusterState.FREE) & (claim.owner != 0)",
    "self.command.named & (claim.owner != 0)",
)

CLUSTER_FAULTS = (
    Fault(
        name="egress-rectangle",
        promises=("P8", "P12"),
        breaks="packets of a VM leave its rectangle",
        edits=(RECTANGLE,),
    ),
    Fault(
        name="borders-open",
        promises=("P1", "P2"),
        breaks="packets of a VM leave its rectangle, and are served wherever they arrive",
        edits=(RECTANGLE, FOREIGN),
    ),
    Fault(
        name="stamp-constant",
        promises=("P2",),
        breaks="packets of a VM leave its rectangle, stamped as those of VM 1",
        edits=(
            RECTANGLE,
            Edit(
                "smmu/egress.py",
                "                ownership.owner,\n                flit.data[start:],",
                "                Cat(1, *[0] * 7),\n                flit.data[start:],",
            ),
        ),
    ),
    Fault(
        name="flat-mesh",
        promises=("P1", "P2"),
        breaks="packets carry machine coordinates, as without SMMU, and nobody checks them",
        edits=(
            Edit("smmu/egress.py", _WITHIN, "                1\n"),
            FOREIGN,
            Edit(
                "smmu/egress.py",
                "                head.source,\n                ownership.owner,",
                "                (head.source.x + ownership.origin.x)[:4],\n"
                "                (head.source.y + ownership.origin.y)[:4],\n"
                "                ownership.owner,",
            ),
            Edit(
                "smmu/smmu.py",
                "egress.ownership.eq(ownership),",
                "egress.ownership.eq(\n"
                "    ownership\n"
                "    if egress is request_egress\n"
                "    else Cat(ownership.owner, Signal(8), ownership.last)\n"
                "),",
            ),
        ),
    ),
    Fault(
        name="scrub-memory",
        promises=("P5",),
        breaks="the scrubber counts, but writes nothing",
        edits=(
            Edit(
                "cluster/tile.py",
                "m.d.comb += [memory.address.eq(scrubber.index), memory.write_enable.eq(0b1111)]",
                "m.d.comb += memory.address.eq(scrubber.index)",
            ),
        ),
    ),
    Fault(
        name="scrub-registers",
        promises=("P5",),
        breaks="cores keep their general registers over a scrub",
        edits=(Edit("cluster/tile.py", "core.clear.eq(scrubber.write),", "core.clear.eq(0),"),),
    ),
    Fault(
        name="interrupts-kept",
        promises=("P5",),
        breaks="the interrupt controller keeps mailbox and enables over a scrub",
        edits=(
            Edit("cluster/tile.py", "interrupts.hold.eq(smmu.hold),", "interrupts.hold.eq(0),"),
        ),
    ),
    Fault(
        name="guest-faults-kept",
        promises=("P5", "P9"),
        breaks="the guest-visible fault address outlives its VM",
        edits=(Edit("cluster/tile.py", "identity.hold.eq(smmu.hold),", "identity.hold.eq(0),"),),
    ),
    Fault(
        name="order-kept",
        promises=("P5", "P12"),
        breaks="the arbiters of a cluster remember over a change of the owner whom they served",
        edits=(Edit("arbiter.py", "m.d.sync += behind.eq(0)", "m.d.sync += behind.eq(behind)"),),
    ),
    Fault(
        name="egress-slow",
        promises=("P13",),
        breaks="the SMMU looks at a head flit for a cycle before it lets it go",
        edits=(
            Edit(
                "smmu/egress.py",
                "        swallow = Signal()\n",
                "        swallow = Signal()\n"
                "        looked = Signal()\n"
                "        m.d.sync += looked.eq(self.inside.valid & ~self.inside.ready)\n",
            ),
            Edit(
                "smmu/egress.py",
                "self.outside.valid.eq(self.inside.valid & ~swallow),",
                "self.outside.valid.eq(self.inside.valid & ~swallow & (body | looked)),",
            ),
            Edit(
                "smmu/egress.py",
                "self.inside.ready.eq(swallow | self.outside.ready),",
                "self.inside.ready.eq(swallow | (self.outside.ready & (body | looked))),",
            ),
        ),
    ),
    Fault(
        name="leaf-waits-for-others",
        promises=("P12",),
        breaks="a cluster's request stays back for a frame in which another one was answered",
        edits=(
            Edit(
                "ionet/node.py",
                "        phase = Signal(_Phase)\n",
                "        crowded = Signal()\n"
                "        with m.If(own_slot):\n"
                "            m.d.sync += crowded.eq(0)\n"
                "        with m.Elif(~self.down.lane & self.down.valid):\n"
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
    ),
)
"""In the order of the promises."""
