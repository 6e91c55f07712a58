# amaranth: UnusedElaboratable=no
"""Egress against its rule, packet by packet."""

import random

import pytest

from blindvisor.hdl.noc.packets import REQUEST_HEAD
from blindvisor.hdl.smmu.egress import Egress
from blindvisor.sim import pysim


@pytest.mark.parametrize("pause", [0, 2], ids=["free-way", "back-pressure"])
def test_packets_leave_translated_or_not_at_all(pause):
    rng = random.Random(0)
    packets = []
    for _ in range(150):
        first = REQUEST_HEAD.const(
            {
                "destination": {"x": rng.randrange(6), "y": rng.randrange(5)},
                "source": {"x": 1, "y": 0},
                "core": rng.randrange(4),
                "write": rng.randrange(2),
                "select": rng.randrange(16),
            }
        )
        body = [rng.getrandbits(32) for _ in range(rng.randrange(3))]
        packets.append((first, body))
    origin, last, own, owner = (3, 9), (2, 1), (1, 0), 5

    expected, denials = [], []
    for first, body in packets:
        x, y = first.destination.x, first.destination.y
        if x <= last[0] and y <= last[1] and (x, y) != own:
            out = REQUEST_HEAD.const(
                {
                    "destination": {"x": x + origin[0], "y": y + origin[1]},
                    "source": {"x": 1, "y": 0},
                    "owner": owner,
                    "core": first.core,
                    "write": first.write,
                    "select": first.select,
                }
            )
            words = [out.as_bits(), *body]
            expected += [(w, n == len(words) - 1) for n, w in enumerate(words)]
        else:
            denials.append(first.core)

    dut = Egress()
    offered = [
        {"data": word, "last": n == len(body)}
        for first, body in packets
        for n, word in enumerate([first.as_bits(), *body])
    ]
    sent, denied = [], []

    async def settings(ctx):
        ctx.set(
            dut.ownership,
            {
                "owner": owner,
                "origin": {"x": origin[0], "y": origin[1]},
                "last": {"x": last[0], "y": last[1]},
            },
        )
        ctx.set(dut.own, {"x": own[0], "y": own[1]})
        ctx.set(dut.allow, 1)

    async def watch_denials(ctx):
        async for _, _, denied_now, core, by_state in ctx.tick().sample(
            dut.denied, dut.denied_core, dut.denied_state
        ):
            if denied_now:
                assert not by_state
                denied.append(core)
            if len(denied) == len(denials):
                return

    pysim.simulate(
        dut,
        settings,
        pysim.offer(dut.inside, offered),
        pysim.collect(dut.outside, sent, count=len(expected), pause=lambda: rng.randint(0, pause)),
        watch_denials,
    )
    assert [(flit.data, bool(flit.last)) for flit in sent] == expected
    assert denied == denials


def test_nothing_leaves_without_an_owner_or_against_the_state():
    dut = Egress()
    seen = []

    async def testbench(ctx):
        ctx.set(dut.ownership, {"owner": 0, "last": {"x": 15, "y": 15}})
        ctx.set(dut.allow, 1)
        ctx.set(dut.outside.ready, 1)
        packet = REQUEST_HEAD.const({"destination": {"x": 1, "y": 1}}).as_bits()
        ctx.set(dut.inside.payload, {"data": packet, "last": 1})
        ctx.set(dut.inside.valid, 1)
        for owner, allow in ((0, 1), (5, 0), (5, 1)):
            ctx.set(dut.ownership.owner, owner)
            ctx.set(dut.allow, allow)
            await ctx.delay(1e-9)
            seen.append(
                (ctx.get(dut.outside.valid), ctx.get(dut.denied), ctx.get(dut.inside.ready))
            )
            await ctx.tick()

    pysim.simulate(dut, testbench)
    assert seen == [(0, 1, 1), (0, 1, 1), (1, 0, 1)]


def test_a_change_of_the_state_never_cuts_a_packet():
    dut = Egress()
    sent = []

    async def state_falls_behind_the_head(ctx):
        ctx.set(dut.ownership, {"owner": 1, "last": {"x": 1, "y": 1}})
        ctx.set(dut.allow, 1)
        await ctx.tick()
        ctx.set(dut.allow, 0)

    packet = REQUEST_HEAD.const({"destination": {"x": 1, "y": 1}}).as_bits()
    flits = [{"data": packet}, {"data": 7}, {"data": 8, "last": 1}]
    pysim.simulate(
        dut,
        state_falls_behind_the_head,
        pysim.offer(dut.inside, flits),
        pysim.collect(dut.outside, sent, count=3),
    )
    assert [flit.data for flit in sent[1:]] == [7, 8]
