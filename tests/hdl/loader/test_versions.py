# amaranth: UnusedElaboratable=no
"""The search for a VM identity in the store, and the write of its row."""

import random

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.store import STORE_ROW
from blindvisor.hdl.loader.versions import Versions
from blindvisor.sim import pysim

US = 0x1234
FREE = STORE_ROW.const({})


def row(identity, version=0, generation=0):
    return STORE_ROW.const(
        {"identity": identity, "version": version, "generation": generation, "valid": 1}
    )


def store(dut, rows, rng, log, over):
    """A store that takes its time and answers each request once."""

    async def process(ctx):
        port = dut.store
        while not over:
            _, _, valid, ready, request = await ctx.tick().sample(
                port.request.valid, port.request.ready, port.request.payload
            )
            ctx.set(port.response, {"valid": 0})
            if valid and ready:
                ctx.set(port.request.ready, 0)
                log.append((request.write, request.index))
                await ctx.tick().repeat(rng.randint(1, 4))
                if request.write:
                    rows[request.index] = request.row
                ctx.set(port.response, {"valid": 1, "row": rows[request.index]})
            else:
                ctx.set(port.request.ready, rng.random() < 0.5)

    return process


def run(rows, *, commit=None, stop_after=None):
    """Search, then write if asked to; return the results, the rows and the log of requests."""
    config = MachineConfig(name="test", width=1, height=1, store_rows=len(rows))
    dut, rng, log, rows = Versions(config), random.Random(len(rows)), [], list(rows)
    found, over = [], []

    async def main(ctx):
        ctx.set(dut.identity, US)
        ctx.set(dut.find, 1)
        await ctx.tick()
        ctx.set(dut.find, 0)
        if stop_after is not None:
            await ctx.tick().repeat(stop_after)
            ctx.set(dut.stop, 1)
            while not ctx.get(dut.idle):
                assert not ctx.get(dut.done)
                await ctx.tick()
            over.append(True)
            return
        await ctx.tick().until(dut.done)
        found.extend(ctx.get(port) for port in (dut.found, dut.full, dut.version, dut.generation))
        if commit is not None:
            ctx.set(dut.next_version, commit[0])
            ctx.set(dut.next_generation, commit[1])
            ctx.set(dut.commit, 1)
            await ctx.tick()
            ctx.set(dut.commit, 0)
            ctx.set(dut.next_version, 0)  # an ABORT takes them away: the row must not notice
            ctx.set(dut.next_generation, 0)
            await ctx.tick().until(dut.done)
            assert ctx.get(dut.idle)
        over.append(True)

    pysim.simulate(dut, main, store(dut, rows, rng, log, over), deadline=2000)
    return found, rows, log


OTHER = row(US + 1, 9, 9)


@pytest.mark.parametrize("rows", [1, 2, 16, 17])
def test_the_row_of_the_identity_is_found_wherever_it_is(rows):
    for place in (0, rows - 1):
        kept = [OTHER] * rows
        kept[place] = row(US, 3, 4)
        found, after, log = run(kept, commit=(5, 6))
        assert found == [1, 0, 3, 4]
        assert after == [OTHER] * place + [row(US, 5, 6)] + [OTHER] * (rows - place - 1)
        assert log == [(0, n) for n in range(place + 1)] + [(1, place)]


def test_without_one_the_first_free_row_is_written():
    found, after, log = run([OTHER, FREE, OTHER, FREE], commit=(7, 0))
    assert found == [0, 0, 0, 0]
    assert after == [OTHER, row(US, 7, 0), OTHER, FREE]
    assert log == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1)]


def test_a_row_behind_a_free_one_is_the_identitys():
    found, after, _ = run([FREE, row(US, 1, 2), OTHER], commit=(1, 3))
    assert found == [1, 0, 1, 2]
    assert after == [FREE, row(US, 1, 3), OTHER]


def test_a_row_counts_only_if_it_is_valid():
    found, _, _ = run([FREE, STORE_ROW.const({"identity": US, "version": 8})])
    assert found == [0, 0, 0, 0]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_store_without_room_is_full(rows):
    found, _, _ = run([OTHER] * rows)
    assert found == [0, 1, 0, 0]


@pytest.mark.parametrize("after", range(1, 12))
def test_a_search_that_is_stopped_waits_for_its_response_and_asks_no_more(after):
    _, _, log = run([OTHER] * 16, stop_after=after)
    assert len(log) <= 1 + after
