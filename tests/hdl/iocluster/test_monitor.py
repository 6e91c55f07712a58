# amaranth: UnusedElaboratable=no
"""The security monitor against the rules of docs/interfaces.md, with clusters to command."""

import pytest

from blindvisor.hdl.abi import Call, ClusterState, Fault, Result, StatusKind, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.verification.benches.monitor_rules import random_call
from blindvisor.verification.benches.monitor_stand_ins import Bench

FAILED_LOADS = (Result.IMAGE_HEADER, Result.IMAGE_SIZE, Result.IMAGE_KEY, Result.IMAGE_TAG)


async def running(bench, ctx, vm=1, *place):
    """Bring a VM to RUNNING."""
    assert await bench.agree(ctx, Call.VM_CREATE, vm, *(place or (0, 0, 2, 2))) is Result.OK
    assert await bench.agree(ctx, Call.VM_LOAD, vm, 160) is Result.OK
    assert await bench.agree(ctx, Call.VM_START, vm) is Result.OK


def ops(bench, since=0):
    return [op for op, *_ in bench.log[since:]]


def test_monitor_is_busy_until_every_cluster_was_clean_and_freed():
    bench = Bench()

    async def script(ctx):
        bench.clusters._clean[4] = 25
        while ctx.get(bench.dut.calls.busy):
            assert bench.owners(ctx) == [0] * 6
            assert not ctx.get(bench.dut.calls.ended)
            await ctx.tick()
        assert bench.clusters.states == [ClusterState.FREE] * 6
        assert Result(ctx.get(bench.dut.calls.result)) is Result.NONE
        # The last clean poll of any cluster comes before the first FREE.
        first = ops(bench).index(LaneOp.FREE)
        assert ops(bench)[first:] == [LaneOp.FREE] * 6
        assert ops(bench)[:first].count(LaneOp.STATUS) == first > 6 + 25

    bench.run(script)


def test_life_of_a_vm():
    bench = Bench()

    async def script(ctx):
        await running(bench, ctx)
        assert bench.starts == [[0, 1, 0, 0, 2, 2, 160]]
        assert await bench.agree(ctx, Call.CHANNEL_GRANT, 1, 1, 2) is Result.OK
        assert await bench.agree(ctx, Call.CHANNEL_GRANT, 2, 1, 0) is Result.OK
        assert await bench.agree(ctx, Call.VM_FREEZE, 1) is Result.OK
        assert await bench.agree(ctx, Call.VM_SAVE, 1) is Result.OK
        assert bench.starts[1][:-1] == [1, 1, 0, 0, 2, 2]
        assert await bench.agree(ctx, Call.VM_RESUME, 1) is Result.OK
        assert await bench.agree(ctx, Call.CHANNEL_REVOKE, 1) is Result.OK
        assert await bench.agree(ctx, Call.VM_DESTROY, 1) is Result.OK
        assert await bench.agree(ctx, Call.VM_DESTROY, 1) is Result.WRONG_STATE

    bench.run(script)


def test_destroying_goes_in_passes_and_takes_the_channels_first():
    bench = Bench()

    async def script(ctx):
        await running(bench, ctx, 2, 1, 0, 2, 2)
        for channel in (0, 2):
            await bench.agree(ctx, Call.CHANNEL_GRANT, channel, 2, channel)
        bench.updates.clear()
        since = len(bench.log)
        assert await bench.agree(ctx, Call.VM_DESTROY, 2) is Result.OK
        assert bench.updates == [(0, 0, 0, since), (2, 0, 0, since)]
        op, named, _, data = bench.log[since]
        assert (op, named, data) == (LaneOp.STOP, 0, 2)
        passes = []
        for op, named, cluster, _ in bench.log[since + 1 :]:
            assert named
            if not passes or passes[-1][0] is not op:
                passes.append((op, []))
            if cluster not in passes[-1][1]:
                passes[-1][1].append(cluster)
        assert passes == [
            (op, [1, 2, 4, 5]) for op in (LaneOp.STATUS, LaneOp.SCRUB, LaneOp.STATUS, LaneOp.FREE)
        ]

    bench.run(script)


def test_granting_tells_the_clusters_before_the_guard_and_revoking_after():
    bench = Bench()

    async def script(ctx):
        await running(bench, ctx)
        since = len(bench.log)
        await bench.agree(ctx, Call.CHANNEL_GRANT, 2, 1, 3)
        assert ops(bench, since) == [LaneOp.CHANNEL] * 4
        assert bench.updates[-1] == (2, 1, 3, since + 4)
        await bench.agree(ctx, Call.CHANNEL_REVOKE, 2)
        assert ops(bench, since) == [LaneOp.CHANNEL] * 8
        assert bench.updates[-1] == (2, 0, 0, since + 4)

    bench.run(script)


def test_every_argument_is_compared_as_a_whole_word():
    bench = Bench()
    high = 1 << 31

    async def script(ctx):
        for words, result in (
            ((0, 0, 0, 1, 1), Result.BAD_VM),
            ((4, 0, 0, 1, 1), Result.BAD_VM),
            ((0x101, 0, 0, 1, 1), Result.BAD_VM),
            ((1, 0, 0, 0, 1), Result.BAD_RECTANGLE),
            ((1, 0, 0, 1, 0), Result.BAD_RECTANGLE),
            ((1, 0, 0, 4, 1), Result.BAD_RECTANGLE),
            ((1, 3, 0, 1, 1), Result.BAD_RECTANGLE),
            ((1, 0, 2, 1, 1), Result.BAD_RECTANGLE),
            ((1, 0, 0, 1, 3), Result.BAD_RECTANGLE),
            ((1, 16, 0, 1, 1), Result.BAD_RECTANGLE),
            ((1, 0, 0, 33, 1), Result.BAD_RECTANGLE),
            ((1, high, 0, high, 1), Result.BAD_RECTANGLE),
            ((1, 0xFFFFFFFF, 0, 2, 1), Result.BAD_RECTANGLE),
            ((1, 0, 0xFFFFFFFF, 1, 2), Result.BAD_RECTANGLE),
        ):
            assert await bench.agree(ctx, Call.VM_CREATE, *words) is result, words
        await running(bench, ctx)
        for call, words, result in (
            (Call.CHANNEL_GRANT, (4, 1, 0), Result.BAD_CHANNEL),
            (Call.CHANNEL_GRANT, (16, 1, 0), Result.BAD_CHANNEL),
            (Call.CHANNEL_GRANT, (0, 0x101, 0), Result.BAD_VM),
            (Call.CHANNEL_GRANT, (0, 2, 0), Result.WRONG_STATE),
            (Call.CHANNEL_GRANT, (0, 1, 4), Result.BAD_GUEST_CHANNEL),
            (Call.CHANNEL_GRANT, (0, 1, 16), Result.BAD_GUEST_CHANNEL),
            (Call.CHANNEL_GRANT, (0, 1, 1), Result.OK),
            (Call.CHANNEL_GRANT, (0, 1, 2), Result.CHANNEL_TAKEN),
            (Call.CHANNEL_GRANT, (1, 1, 1), Result.GUEST_CHANNEL_TAKEN),
            (Call.CHANNEL_REVOKE, (16,), Result.BAD_CHANNEL),
            (Call.CHANNEL_REVOKE, (1,), Result.WRONG_STATE),
            (Call.FAULT_CLEAR, (6,), Result.BAD_ARGUMENT),
            (Call.FAULT_CLEAR, (0x10000,), Result.BAD_ARGUMENT),
            (Call.STATUS, (1, 6), Result.BAD_ARGUMENT),
            (Call.STATUS, (2, 0), Result.BAD_ARGUMENT),
            (Call.STATUS, (2, 4), Result.BAD_ARGUMENT),
            (Call.STATUS, (3, 4), Result.BAD_ARGUMENT),
            (Call.STATUS, (4, 1), Result.BAD_ARGUMENT),
            (Call.STATUS, (0x101, 0), Result.BAD_ARGUMENT),
            (0x11, (1, 0, 0, 1, 1), Result.UNKNOWN_CALL),
            (0, (), Result.UNKNOWN_CALL),
            (12, (1,), Result.UNKNOWN_CALL),
        ):
            assert await bench.agree(ctx, call, *words) is result, (call, words)

    bench.run(script)


def test_a_machine_of_16_by_16_refuses_the_rectangle_that_has_no_own_name():
    config = MachineConfig(name="large", width=16, height=16, vms=255)
    bench = Bench(config)
    bench.clusters._clean = [0] * 256

    async def script(ctx):
        assert await bench.agree(ctx, Call.VM_CREATE, 255, 0, 0, 16, 16) is Result.BAD_RECTANGLE
        assert await bench.agree(ctx, Call.VM_CREATE, 255, 0, 15, 16, 1) is Result.OK
        assert await bench.agree(ctx, Call.VM_CREATE, 1, 15, 14, 1, 2) is Result.OCCUPIED
        assert await bench.agree(ctx, Call.VM_CREATE, 1, 15, 0, 1, 15) is Result.OK
        assert await bench.agree(ctx, Call.STATUS, 2, 255) is Result.OK
        assert await bench.agree(ctx, Call.STATUS, 1, 255) is Result.OK
        assert await bench.agree(ctx, Call.VM_DESTROY, 255) is Result.OK

    bench.run(script, deadline=30_000)


def test_status_tells_the_kind_of_every_channel():
    bench = Bench()

    async def script(ctx):
        kinds = []
        for channel in range(4):
            await bench.agree(ctx, Call.STATUS, StatusKind.CHANNEL.value, channel)
            kinds.append(ctx.get(bench.dut.calls.values[2]))
        assert kinds == [0, 0, 1, 2]  # TTY, TTY, MAILBOX, ATTEST

    bench.run(script)


@pytest.mark.parametrize("result", FAILED_LOADS)
def test_failed_load_scrubs_the_vm(result):
    bench = Bench()
    bench.loader_result = result

    async def script(ctx):
        await bench.agree(ctx, Call.VM_CREATE, 1, 1, 1, 2, 1)
        await bench.agree(ctx, Call.CHANNEL_GRANT, 0, 1, 0)
        since = len(bench.log)
        assert await bench.agree(ctx, Call.VM_LOAD, 1, 160) is result
        assert ops(bench, since).count(LaneOp.SCRUB) == 2
        assert await bench.agree(ctx, Call.VM_START, 1) is Result.WRONG_STATE
        # A refused load leaves the result of the last one that the loader began.
        assert await bench.agree(ctx, Call.VM_LOAD, 1, 160) is Result.WRONG_STATE
        await bench.agree(ctx, Call.STATUS, StatusKind.LOAD.value, 0)

    bench.run(script)


@pytest.mark.parametrize("result", [Result.NONE, Result.BUSY, Result.WRONG_STATE])
def test_what_the_loader_must_not_say_counts_as_a_fault(result):
    bench = Bench()
    bench.loader_result = result

    async def script(ctx):
        await bench.agree(ctx, Call.VM_CREATE, 1, 1, 1, 2, 1)
        assert await bench.call(ctx, Call.VM_LOAD, 1, 160) is Result.CLUSTER_FAULT
        assert bench.clusters.states == [ClusterState.FREE] * 6

    bench.run(script)


@pytest.mark.parametrize("after", [0, 1, 2, 4, 9, 30])
@pytest.mark.parametrize("obeys", [True, False], ids=["abort", "abort-unheard"])
def test_aborted_load_is_aborted_even_if_the_loader_says_ok(after, obeys):
    bench = Bench()
    bench.loader_time = 40 if obeys else after + 3
    bench.loader_ops = [{"op": LaneOp.WRITE, "named": 1, "cluster": 0, "data": 2}] * after

    async def script(ctx):
        await bench.agree(ctx, Call.VM_CREATE, 1, 0, 0, 1, 1)
        assert await bench.agree(ctx, Call.VM_LOAD, 1, 160, abort_after=after) is Result.ABORTED
        # An abort outside a load changes nothing.
        await bench.agree(ctx, Call.VM_CREATE, 1, 0, 0, 1, 1)
        assert await bench.agree(ctx, Call.VM_LOAD, 1, 160) is Result.OK

    bench.run(script)


def test_loader_can_do_nothing_but_place_words():
    bench = Bench()
    bench.loader_ops = [
        {"op": op, "named": named, "cluster": 0, "data": 2} for op in LaneOp for named in (0, 1)
    ]
    bench.loader_time = 0  # done with replies on their way

    async def script(ctx):
        await running(bench, ctx, 2, 1, 0, 2, 2)
        since = len(bench.log)
        await bench.agree(ctx, Call.VM_CREATE, 1, 0, 0, 1, 1)
        assert await bench.agree(ctx, Call.VM_LOAD, 1, 160) is Result.OK
        assert ops(bench, since) == [
            LaneOp.CLAIM,
            *(
                LaneOp.WRITE if op is LaneOp.WRITE else LaneOp.ADDRESS
                for op in LaneOp
                for _ in "ab"
            ),
        ]
        assert all(named for _, named, _, _ in bench.log[since:])
        await bench.agree(ctx, Call.STATUS, StatusKind.CLUSTER.value, 0)

    bench.run(script)


def test_loader_has_the_lane_during_a_load_alone():
    bench = Bench()

    async def script(ctx):
        command = bench.dut.loader_lane.command
        ctx.set(command.valid, 1)
        ctx.set(command.payload, {"op": LaneOp.WRITE, "named": 1, "cluster": 0, "data": 7})
        await bench.agree(ctx, Call.VM_CREATE, 1, 0, 0, 1, 1)
        await bench.agree(ctx, Call.CHANNEL_GRANT, 0, 1, 0)
        assert not bench.clusters.written
        assert await bench.agree(ctx, Call.VM_DESTROY, 1) is Result.OK
        assert LaneOp.WRITE not in ops(bench)

    bench.run(script)


def slot_state(bench, ctx):
    return VmState(bench.values(ctx)[0])


@pytest.mark.parametrize("cluster", [0, 4])
@pytest.mark.parametrize(
    ("op", "call", "words"),
    [
        (LaneOp.CLAIM, Call.VM_CREATE, (2, 0, 0, 2, 2)),
        (LaneOp.CHANNEL, Call.CHANNEL_GRANT, (1, 1, 0)),
        (LaneOp.CHANNEL, Call.CHANNEL_REVOKE, (0,)),
    ],
    ids=["create", "grant", "revoke"],
)
def test_cluster_that_refuses_has_its_vm_scrubbed(op, call, words, cluster):
    bench = Bench()

    async def script(ctx):
        if call is not Call.VM_CREATE:
            await running(bench, ctx)
            await bench.agree(ctx, Call.CHANNEL_GRANT, 0, 1, 1)
        else:
            await running(bench, ctx, 1, 2, 0, 1, 2)
        bench.clusters.disobey = lambda refused, k: refused is op and k == cluster
        assert await bench.call(ctx, call, *words) is Result.CLUSTER_FAULT
        bench.clusters.disobey = lambda refused, k: False
        vm = 2 if call is Call.VM_CREATE else 1
        assert vm not in bench.owners(ctx)
        assert vm not in bench.clusters.owners
        assert vm not in [owner for owner, _ in bench.rows]
        assert all(state is not ClusterState.SCRUBBING for state in bench.clusters.states)
        await bench.call(ctx, Call.STATUS, StatusKind.VM.value, vm)
        assert slot_state(bench, ctx) is VmState.EMPTY
        assert await bench.call(ctx, Call.VM_CREATE, vm, 0, 0, 2, 2) is Result.OK

    bench.run(script)


@pytest.mark.parametrize("cluster", [0, 4])
@pytest.mark.parametrize("op", [LaneOp.STATUS, LaneOp.SCRUB, LaneOp.FREE])
def test_vm_that_cannot_be_scrubbed_keeps_slot_and_clusters(op, cluster):
    bench = Bench()

    async def script(ctx):
        await running(bench, ctx)
        await bench.agree(ctx, Call.CHANNEL_GRANT, 0, 1, 1)
        bench.clusters.disobey = lambda refused, k: refused is op and k == cluster
        assert await bench.call(ctx, Call.VM_DESTROY, 1) is Result.CLUSTER_FAULT
        bench.clusters.disobey = lambda refused, k: False
        # What the table gives away is free, and what is not free is still the VM's.
        for owner, state in zip(bench.owners(ctx), bench.clusters.states, strict=True):
            assert (owner == 1) == (state is ClusterState.SCRUBBING)
        assert bench.rows[0] == (0, 0)
        assert await bench.call(ctx, Call.STATUS, StatusKind.VM.value, 1) is Result.OK
        assert slot_state(bench, ctx) is VmState.FAULTED
        if cluster == 4 and op is LaneOp.FREE:  # the clusters before it may serve others
            assert await bench.call(ctx, Call.VM_CREATE, 2, 0, 0, 2, 1) is Result.OK
        for call, words in (
            (Call.VM_CREATE, (1, 2, 0, 1, 1)),
            (Call.VM_LOAD, (1, 160)),
            (Call.VM_START, (1,)),
            (Call.VM_FREEZE, (1,)),
            (Call.VM_RESUME, (1,)),
            (Call.VM_SAVE, (1,)),
            (Call.CHANNEL_GRANT, (0, 1, 0)),
        ):
            assert await bench.call(ctx, call, *words) is Result.WRONG_STATE
        assert await bench.call(ctx, Call.VM_CREATE, 3, 0, 1, 3, 1) is Result.OCCUPIED
        assert await bench.call(ctx, Call.VM_DESTROY, 1) is Result.OK
        assert bench.owners(ctx) == bench.clusters.owners
        assert 1 not in bench.owners(ctx)
        assert ClusterState.SCRUBBING not in bench.clusters.states

    bench.run(script)


@pytest.mark.parametrize("what", ["_drain", "_clean"])
def test_cluster_that_never_gets_clean_ends_the_call(what):
    config = MachineConfig(name="test", width=2, height=1, vms=1, memory_bytes=1024, tty_channels=1)
    bench = Bench(config)

    async def script(ctx):
        await running(bench, ctx, 1, 0, 0, 2, 1)
        original = bench.clusters.named

        def stuck(op, cluster, data):
            if cluster == 1:
                getattr(bench.clusters, what)[1] = 1000
            return original(op, cluster, data)

        bench.clusters.named = stuck
        assert await bench.call(ctx, Call.VM_DESTROY, 1) is Result.CLUSTER_FAULT
        assert bench.owners(ctx) == [1, 1]
        assert bench.clusters.states == [ClusterState.SCRUBBING] * 2

    bench.run(script, deadline=8000)


def test_refused_fault_read_ends_in_a_documented_code_and_changes_nothing():
    bench = Bench()

    async def script(ctx):
        await running(bench, ctx)
        before = bench.values(ctx)
        for op in (LaneOp.STATUS, LaneOp.FAULT):
            bench.clusters.disobey = lambda refused, k, op=op: refused is op
            call = await bench.call(ctx, Call.STATUS, StatusKind.CLUSTER.value, 3)
            assert call is Result.CLUSTER_FAULT
            assert bench.values(ctx) == before
        assert await bench.call(ctx, Call.FAULT_CLEAR, 3) is Result.CLUSTER_FAULT
        bench.compare(ctx)

    bench.run(script)


def test_status_tells_no_more_than_its_fields():
    bench = Bench()
    original = bench.clusters.named

    def noisy(op, cluster, data):
        reply, ok = original(op, cluster, data)
        if op is LaneOp.STATUS:
            reply |= 0xFFFF00E0
        if op is LaneOp.FAULT:
            reply |= 0xFFF00000
        return reply, ok

    bench.clusters.named = noisy

    async def script(ctx):
        await running(bench, ctx)
        bench.clusters.faults[3] = (0xFFFF, Fault.FOREIGN.value)
        assert await bench.agree(ctx, Call.STATUS, StatusKind.CLUSTER.value, 3) is Result.OK
        assert bench.values(ctx) == [ClusterState.RUNNING.value, 1, 0xFFFF, Fault.FOREIGN.value]

    bench.run(script)


@pytest.mark.parametrize("seed", [1, 2])
def test_random_calls_follow_the_rules(seed):
    bench = Bench(seed=seed)
    rng = bench.rng
    results = set()

    async def script(ctx):
        for _ in range(150):
            bench.loader_result = Result.OK if rng.random() < 0.7 else rng.choice(FAILED_LOADS)
            bench.loader_time = rng.randrange(1, 30)
            if rng.random() < 0.2:
                bench.clusters.fault()
            command, words = random_call(bench.rules, rng)
            results.add(await bench.agree(ctx, command, *words))

    bench.run(script)
    assert len(results) >= 10
