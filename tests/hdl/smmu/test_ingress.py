# amaranth: UnusedElaboratable=no
"""Ingress lets in what bears the owner's stamp, and nothing else."""

import random

import pytest

from blindvisor.hdl.noc.packets import REQUEST_HEAD
from blindvisor.hdl.smmu.ingress import Ingress
from blindvisor.sim import pysim


@pytest.mark.parametrize("owner", [0, 5])
@pytest.mark.parametrize("allow", [0, 1])
def test_only_the_owners_packets_come_in(owner, allow):
    rng = random.Random(owner)
    packets = [
        (rng.choice([0, 4, 5, 13]), [rng.getrandbits(32) for _ in range(rng.randrange(3))])
        for _ in range(100)
    ]
    offered, expected = [], []
    counts = {"foreign": 0, "late": 0}
    for stamp, body in packets:
        words = [REQUEST_HEAD.const({"owner": stamp}).as_bits(), *body]
        offered += [{"data": w, "last": n == len(body)} for n, w in enumerate(words)]
        if stamp != owner or owner == 0:
            counts["foreign"] += 1
        elif not allow:
            counts["late"] += 1
        else:
            expected += words
    dut = Ingress()
    received = []
    seen = {"foreign": 0, "late": 0}

    async def settings(ctx):
        ctx.set(dut.owner, owner)
        ctx.set(dut.allow, allow)

    async def watch(ctx):
        async for _, _, foreign, late in ctx.tick().sample(dut.foreign, dut.late):
            seen["foreign"] += foreign
            seen["late"] += late
            if seen == counts:
                return

    pysim.simulate(
        dut,
        settings,
        pysim.offer(dut.outside, offered),
        pysim.collect(dut.inside, received, count=len(expected), pause=lambda: rng.randint(0, 2)),
        watch,
    )
    assert [flit.data for flit in received] == expected
    assert seen == counts
