# SPDX-License-Identifier: Apache-2.0
"""Random call sequences on the model: what must hold after every call."""

from collections import Counter
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from blindvisor.hdl.abi import Call, ClusterState, Result, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.format import Header
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.store import Store
from blindvisor.verification.callseq import StepSource, execute, snapshot

KEY = bytes(range(32))
CONFIG = MachineConfig(
    name="test",
    width=3,
    height=2,
    memory_bytes=1024,
    vms=3,
    tty_channels=2,
    mailbox_channels=1,
    attest_channels=1,
    store_rows=2,
)
LIFE = {
    VmState.CREATED: ClusterState.LOADING,
    VmState.READY: ClusterState.LOADING,
    VmState.RUNNING: ClusterState.RUNNING,
    VmState.FROZEN: ClusterState.FROZEN,
}
LOADER_FAILED = {
    *(Result.IMAGE_HEADER, Result.IMAGE_SIZE, Result.IMAGE_KEY, Result.IMAGE_TAG, Result.ABORTED),
    *(Result.IMAGE_OLD, Result.STORE_FULL),
}


class Calls(RuleBasedStateMachine):
    """One machine under a hypervisor that does anything."""

    def __init__(self):
        super().__init__()
        self.store = Store(CONFIG.store_rows)
        self.link = ModelLink(CONFIG, root_key=KEY, store=self.store)
        self.hypervisor = Hypervisor(self.link)
        self.source = StepSource(CONFIG, root_key=KEY)
        self.seen = snapshot(self.hypervisor)
        self.numbers = set()

    @rule(rng=st.randoms(use_true_random=False))
    def call(self, rng):
        step = self.source.step(rng)
        values = self.hypervisor.values()
        outcome = execute(self.hypervisor, step)
        before, self.seen = self.seen, snapshot(self.hypervisor)
        reading = step.call == Call.STATUS.value
        load_failed = step.call == Call.VM_LOAD.value and outcome.result in LOADER_FAILED
        if outcome.result is not Result.OK and not load_failed:
            assert self.seen == before, f"{step} was refused and changed something"
        if outcome.result is not Result.OK or not reading:
            assert outcome.values == values
        if outcome.saved:
            assert self.seen == before
            header = Header.from_bytes(outcome.saved)
            assert header.nonce not in self.numbers  # no key is used twice
            self.numbers.add(header.nonce)
            place = self.store.find(header.identity)
            assert place is not None
            row = self.store.rows[place]
            assert row is not None
            assert row.generation == header.generation
        if load_failed:
            vm = step.arguments[0]
            assert before.vms[vm - 1].state is VmState.CREATED
            assert self.seen.vms[vm - 1].state is VmState.EMPTY
        if step.call == Call.VM_START.value and outcome.result is Result.OK:
            # P6: nothing else leads to READY than a load that succeeded.
            assert before.vms[step.arguments[0] - 1].state is VmState.READY

    @invariant()
    def a_cluster_belongs_to_the_one_vm_in_whose_rectangle_it_lies(self):
        owners = Counter()
        for vm in self.seen.vms:
            for y in range(vm.y, vm.y + vm.height):
                for x in range(vm.x, vm.x + vm.width):
                    cluster = self.seen.clusters[y * CONFIG.width + x]
                    assert cluster.owner == vm.vm
                    assert cluster.state is LIFE[vm.state]
                    owners[cluster.index] += 1
        assert all(count == 1 for count in owners.values())
        for cluster in self.seen.clusters:
            if cluster.index not in owners:
                assert (cluster.owner, cluster.state) == (0, ClusterState.FREE)

    @invariant()
    def free_clusters_are_zero(self):
        for cluster in self.link.machine.clusters:
            if cluster.state is ClusterState.FREE:
                assert not any(cluster.memory)
                assert not cluster.channels

    @invariant()
    def channels_belong_to_living_vms_under_different_numbers(self):
        owned = [item for item in self.seen.channels if item.owner]
        assert all(self.seen.vms[item.owner - 1].state is not VmState.EMPTY for item in owned)
        assert len({(item.owner, item.guest_channel) for item in owned}) == len(owned)


Calls.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestCalls = Calls.TestCase


def test_sequences_reach_every_result():
    reached = set()
    for seed in range(40):
        epoch = 1 if seed % 4 else None
        hypervisor = Hypervisor(ModelLink(CONFIG, root_key=KEY, epoch=epoch))
        source = StepSource(CONFIG, root_key=KEY)
        reached |= {execute(hypervisor, step).result for step in source.steps(Random(seed), 60)}
    assert reached == {*Result} - {
        *(Result.NONE, Result.BUSY, Result.CLUSTER_FAULT, Result.NOT_IMPLEMENTED)
    }


def test_same_seed_gives_the_same_steps():
    one, two = (StepSource(CONFIG, root_key=KEY).steps(Random(7), 50) for _ in "ab")
    assert one == two
    assert {Call.STATUS.value, Call.VM_LOAD.value} <= {step.call for step in one}


def test_steps_read_well_in_a_failure_message():
    steps = {step.call: step for step in StepSource(CONFIG, root_key=KEY).steps(Random(1), 200)}
    assert str(steps[Call.VM_DESTROY.value]).startswith("VM_DESTROY(0x")
    assert " with " in str(steps[Call.VM_LOAD.value])
