# amaranth: UnusedElaboratable=no
"""Round robin: fair, and without a memory of former VMs once cleared."""

import random

import pytest

from blindvisor.hdl.arbiter import RoundRobin
from blindvisor.sim.pysim import simulate


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_grants_go_round(count):
    rng = random.Random(count)
    dut = RoundRobin(count=count)

    async def testbench(ctx):
        waited = [0] * count
        for _ in range(300):
            requests = rng.getrandbits(count)
            taken = rng.getrandbits(1)
            ctx.set(dut.requests, requests)
            ctx.set(dut.taken, taken)
            await ctx.delay(1e-9)
            grants = ctx.get(dut.grants)
            assert grants.bit_count() == bool(requests)
            assert grants & ~requests == 0
            for n in range(count):
                if grants >> n & 1 or not requests >> n & 1:
                    waited[n] = 0
                else:
                    waited[n] += taken
                assert waited[n] < count, "someone else is served twice meanwhile"
            await ctx.tick()

    simulate(dut, testbench)


@pytest.mark.parametrize("last", [0, 1, 2])
def test_clear_forgets_who_was_last(last):
    dut = RoundRobin(count=3)

    async def testbench(ctx):
        ctx.set(dut.taken, 1)
        ctx.set(dut.requests, 1 << last)
        await ctx.tick()
        ctx.set(dut.requests, 0)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        ctx.set(dut.requests, 0b111)
        await ctx.delay(1e-9)
        assert ctx.get(dut.grants) == 0b001

    simulate(dut, testbench)


def test_wrong_count_is_refused():
    with pytest.raises(ValueError, match=r"^Requester count must be positive, not 0$"):
        RoundRobin(count=0)
