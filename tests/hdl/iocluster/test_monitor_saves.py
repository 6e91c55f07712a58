# amaranth: UnusedElaboratable=no
"""VM_SAVE in the monitor, and what the loader tells it of an image."""

import pytest

from blindvisor.hdl.abi import Call, Result, StatusKind
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.verification.benches.monitor_stand_ins import Bench


async def running(bench, ctx):
    """Bring VM 1 to RUNNING."""
    assert await bench.agree(ctx, Call.VM_CREATE, 1, 0, 0, 2, 2) is Result.OK
    assert await bench.agree(ctx, Call.VM_LOAD, 1, 160) is Result.OK
    assert await bench.agree(ctx, Call.VM_START, 1) is Result.OK


def ops(bench, since):
    return [op for op, *_ in bench.log[since:]]


def test_loader_can_do_nothing_but_read_words_during_a_save():
    bench = Bench()
    bench.loader_time = 0

    async def script(ctx):
        await running(bench, ctx)
        await bench.agree(ctx, Call.VM_FREEZE, 1)
        bench.loader_ops = [
            {"op": op, "named": named, "cluster": 0, "data": 2} for op in LaneOp for named in (0, 1)
        ]
        since = len(bench.log)
        assert await bench.agree(ctx, Call.VM_SAVE, 1) is Result.OK
        assert ops(bench, since) == [
            LaneOp.READ if op is LaneOp.READ else LaneOp.ADDRESS for op in LaneOp for _ in "ab"
        ]
        assert all(named for _, named, _, _ in bench.log[since:])
        await bench.agree(ctx, Call.STATUS, StatusKind.CLUSTER.value, 0)

    bench.run(script)


SAVE_RESULTS = (
    Result.OK,
    Result.NO_NONCE,
    Result.STORE_FULL,
    Result.CLUSTER_FAULT,
    Result.ABORTED,
)


@pytest.mark.parametrize("result", SAVE_RESULTS)
def test_a_vm_stays_frozen_however_its_save_ends(result):
    bench = Bench()

    async def script(ctx):
        await running(bench, ctx)
        assert await bench.agree(ctx, Call.VM_SAVE, 1) is Result.WRONG_STATE
        await bench.agree(ctx, Call.VM_FREEZE, 1)
        bench.loader_result = result
        since = len(bench.log)
        assert await bench.agree(ctx, Call.VM_SAVE, 1) is result
        assert bench.log[since:] == []
        # STATUS tells of loads alone.
        await bench.agree(ctx, Call.STATUS, StatusKind.LOAD.value, 0)
        assert ctx.get(bench.dut.calls.values[0]) == Result.OK.value
        bench.loader_result = Result.OK
        assert await bench.agree(ctx, Call.VM_SAVE, 1) is Result.OK
        assert await bench.agree(ctx, Call.VM_RESUME, 1) is Result.OK

    bench.run(script)


def test_a_save_ends_when_its_last_word_was_taken():
    bench = Bench()
    bench.words_waiting = 9

    async def script(ctx):
        await running(bench, ctx)
        await bench.agree(ctx, Call.VM_FREEZE, 1)
        waited = 0

        async def end():
            nonlocal waited
            while not ctx.get(bench.dut.calls.ended):
                assert not waited or ctx.get(bench.dut.calls.saving)
                waited += ctx.get(bench.dut.saved_waiting)
                await ctx.tick()

        ctx.set(bench.dut.calls.start, 1)
        ctx.set(bench.dut.calls.command, Call.VM_SAVE.value)
        ctx.set(bench.dut.calls.arguments, [1, 0, 0, 0, 0])
        await ctx.tick()
        ctx.set(bench.dut.calls.start, 0)
        await end()
        assert waited > 30
        # Nobody takes them: an abort ends it.
        bench.taking = False
        assert await bench.agree(ctx, Call.VM_SAVE, 1, abort_after=60) is Result.ABORTED
        assert not ctx.get(bench.dut.saved_opened)

    bench.run(script)


@pytest.mark.parametrize("after", [0, 1, 4, 30])
def test_aborted_save_is_aborted_even_if_the_loader_says_ok(after):
    bench = Bench()

    async def script(ctx):
        await running(bench, ctx)
        await bench.agree(ctx, Call.VM_FREEZE, 1)
        bench.loader_time = after + 3
        assert await bench.agree(ctx, Call.VM_SAVE, 1, abort_after=after) is Result.ABORTED
        assert await bench.agree(ctx, Call.VM_SAVE, 1) is Result.OK

    bench.run(script)


@pytest.mark.parametrize("resumed", [False, True])
def test_clusters_are_told_whether_the_vm_was_restored(resumed):
    bench = Bench()
    bench.loader_resumed = resumed

    async def script(ctx):
        await running(bench, ctx)
        assert [bench.clusters.resumed[n] for n in (0, 1, 3, 4)] == [resumed] * 4
        op, named, _, data = bench.log[-1]
        assert (op, named, data) == (LaneOp.LAUNCH, 0, 1 | resumed << 8)
        for call in (Call.VM_FREEZE, Call.VM_RESUME):
            await bench.agree(ctx, call, 1)
            assert bench.log[-1][3] == 1
        # The next VM in this slot starts from nothing.
        await bench.agree(ctx, Call.VM_DESTROY, 1)
        bench.loader_resumed = False
        await running(bench, ctx)
        assert bench.log[-1][3] == 1

    bench.run(script)


def test_a_load_waits_until_the_loader_takes_it():
    bench = Bench()
    bench.loader_wait = 50

    async def script(ctx):
        await running(bench, ctx)
        assert len(bench.starts) == 1
        await bench.agree(ctx, Call.VM_CREATE, 2, 2, 0, 1, 1)
        assert await bench.agree(ctx, Call.VM_LOAD, 2, 160, abort_after=0) is Result.ABORTED

    bench.run(script)
