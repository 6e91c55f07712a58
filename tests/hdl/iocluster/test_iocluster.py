# amaranth: UnusedElaboratable=no
"""The assembled I/O cluster: from the hypervisor's registers to the leaves of the I/O network."""

import hashlib
import random
from typing import Any

import pytest
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.abi import (
    REPORT_WORDS,
    Call,
    ChannelRegister,
    ClusterState,
    HypervisorRegister,
    Result,
    StatusKind,
    VmState,
)
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.hdl.iocluster.iocluster import IoCluster
from blindvisor.hdl.iocluster.tty_mux import TTY_BYTE
from blindvisor.hdl.ionet.flits import IO_REQUEST, LANE_REPLY, LEAF_ANSWER, LEAF_COMMAND
from blindvisor.hdl.ionet.node import IoNode
from blindvisor.hdl.ionet.tree import IoTree
from blindvisor.hdl.loader.store import STORE_ROW, StorePort
from blindvisor.sim import pysim
from blindvisor.sw.image.keys import report_key, save_number
from blindvisor.sw.image.pack import pack, unpack
from blindvisor.sw.image.report import read_report
from blindvisor.verification.benches.monitor_rules import Clusters

CONFIG = MachineConfig(
    name="test",
    width=2,
    height=1,
    vms=2,
    memory_bytes=1024,
    tty_channels=1,
    mailbox_channels=1,
    attest_channels=1,
    channel_depth=4,
    staging_words=8,
    store_rows=2,
)
REG = HypervisorRegister
ROOT_KEY = bytes(range(32))


class Network(wiring.Component):
    """The I/O cluster, the tree and all leaves; the leaves' tile sides are the ports."""

    hypervisor: Any
    interrupt: Any
    tty_out: Any
    tty_in: Any
    requests: Any
    answers: Any
    commands: Any
    replies: Any
    interrupts: Any
    store: Any

    def __init__(self):
        clusters = CONFIG.clusters
        super().__init__(
            {
                "hypervisor": In(HypervisorBus()),
                "interrupt": Out(1),
                "tty_out": Out(stream.Signature(TTY_BYTE)),
                "tty_in": In(stream.Signature(TTY_BYTE)),
                "requests": In(stream.Signature(IO_REQUEST)).array(clusters),
                "answers": Out(LEAF_ANSWER).array(clusters),
                "commands": Out(LEAF_COMMAND).array(clusters),
                "replies": In(LANE_REPLY).array(clusters),
                "interrupts": Out(CONFIG.channels).array(clusters),
                "store": Out(StorePort(CONFIG)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.iocluster = iocluster = IoCluster(CONFIG)
        m.submodules.tree = tree = IoTree(CONFIG)
        connect(m, flipped(self.hypervisor), iocluster.hypervisor)
        connect(m, iocluster.store, flipped(self.store))
        connect(m, iocluster.tty_out, flipped(self.tty_out))
        connect(m, flipped(self.tty_in), iocluster.tty_in)
        m.d.comb += [
            self.interrupt.eq(iocluster.interrupt),
            iocluster.root_key.eq(int.from_bytes(ROOT_KEY, "little")),
            iocluster.epoch.eq(9),
            iocluster.epoch_valid.eq(1),
            tree.down.eq(iocluster.down),
            iocluster.up.eq(tree.up),
        ]
        for n in range(CONFIG.clusters):
            m.submodules[f"leaf{n}"] = leaf = IoNode(CONFIG)
            connect(m, flipped(self.requests[n]), leaf.request)
            m.d.comb += [
                leaf.index.eq(n),
                leaf.down.eq(tree.leaves_down[n]),
                tree.leaves_up[n].eq(leaf.up),
                leaf.reply.eq(self.replies[n]),
                self.answers[n].eq(leaf.answer),
                self.commands[n].eq(leaf.command),
                self.interrupts[n].eq(leaf.interrupts),
            ]
        return m


class Bench:
    """Hypervisor and guests of the network, with stand-ins for the clusters."""

    ctx: Any

    def __init__(self, script, deadline=20_000):
        self.dut = Network()
        self.clusters = Clusters(CONFIG, random.Random(0))
        self.over = False

        async def main(ctx):
            self.ctx = ctx
            await self.until_idle()
            await script(self)
            self.over = True

        pysim.simulate(self.dut, main, self._lane, self._store, deadline=deadline)

    async def _store(self, ctx):
        rows = [STORE_ROW.const({})] * CONFIG.store_rows
        port = self.dut.store
        ctx.set(port.request.ready, 1)
        while not self.over:
            _, _, valid, request = await ctx.tick().sample(port.request.valid, port.request.payload)
            ctx.set(port.response, {"valid": 0})
            if valid:
                if request.write:
                    rows[request.index] = request.row
                ctx.set(port.response, {"valid": 1, "row": rows[request.index]})

    async def _lane(self, ctx):
        while not self.over:
            _, _, *commands = await ctx.tick().sample(*self.dut.commands)
            broadcast = False
            for n, command in enumerate(commands):
                reply = {}
                if command.valid and command.named:
                    data, ok = self.clusters.named(command.op, n, command.data)
                    reply = {"data": data, "ok": ok}
                elif command.valid and not broadcast:  # all leaves hear it in the same cycle
                    broadcast = True
                    self.clusters.broadcast(command.op, command.data)
                ctx.set(self.dut.replies[n], reply)

    async def access(self, register, word=None, offset=0) -> Any:
        """Make one access; return the word read, or None if it was refused."""
        ctx, bus = self.ctx, self.dut.hypervisor
        ctx.set(bus.stb, 1)
        ctx.set(bus.we, word is not None)
        ctx.set(bus.adr, register.value + offset)
        ctx.set(bus.dat_w, word or 0)
        ack, value = ctx.get(bus.ack), ctx.get(bus.dat_r)
        await ctx.tick()
        ctx.set(bus.stb, 0)
        return value if ack else None

    async def until_idle(self):
        while await self.access(REG.STATUS) & 1:
            await self.ctx.tick()

    async def begin(self, call, *arguments):
        for n, argument in enumerate(arguments):
            await self.access(REG.ARG0, argument, offset=4 * n)
        assert await self.access(REG.COMMAND, call.value) is not None

    async def call(self, call, *arguments):
        await self.begin(call, *arguments)
        return await self.end()

    async def end(self):
        while not self.ctx.get(self.dut.interrupt):
            await self.ctx.tick()
        await self.access(REG.STATUS, 0)
        assert not self.ctx.get(self.dut.interrupt)
        return Result(await self.access(REG.RESULT))

    async def load(self, vm, image):
        """Run VM_LOAD; return its result and how many words were taken."""
        await self.begin(Call.VM_LOAD, vm, len(image))
        taken = 0
        words = [int.from_bytes(image[n : n + 4], "little") for n in range(0, len(image), 4)]
        while taken < len(words) and not self.ctx.get(self.dut.interrupt):
            if await self.access(REG.STAGING_SPACE):
                # The load may end between the two accesses.
                taken += await self.access(REG.STAGING, words[taken]) is not None
        return await self.end(), taken

    async def save(self, vm, *, count=None):
        """Run VM_SAVE; return its result and the words taken, ``count`` of them and then ABORT."""
        await self.begin(Call.VM_SAVE, vm)
        taken = []
        while not self.ctx.get(self.dut.interrupt):
            for _ in range(await self.access(REG.SAVED_WORDS)):
                taken.append(await self.access(REG.SAVED))
            if count is not None and len(taken) >= count:
                assert await self.access(REG.STATUS) & 0b1111 == 0b1001
                await self.access(REG.ABORT, 0)
        return await self.end(), taken

    async def status(self, kind, index):
        assert await self.call(Call.STATUS, kind.value, index) is Result.OK
        return [await self.access(REG.VALUE0, offset=4 * n) for n in range(4)]

    async def ask(self, cluster, register, word=None, channel=0):
        """Have a cluster access a channel; return the word read, or None if it was refused."""
        ctx, request, answer = self.ctx, self.dut.requests[cluster], self.dut.answers[cluster]
        ctx.set(request.valid, 1)
        ctx.set(
            request.payload,
            {
                "data": word or 0,
                "channel": channel,
                "register": register.value,
                "write": word is not None,
            },
        )
        await ctx.tick().until(request.ready)
        ctx.set(request.valid, 0)
        while not ctx.get(answer.valid):
            await ctx.tick()
        value = None if ctx.get(answer.error) else ctx.get(answer.data)
        await ctx.tick()
        return value


def image(memories=(bytes(range(32)),)):
    return pack(list(memories), width=len(memories), height=1, root_key=ROOT_KEY)


def test_authentic_image_is_placed_and_started_and_a_changed_one_scrubbed():
    async def script(bench):
        assert await bench.access(REG.COMMAND, 0) is not None  # an unknown call, to be told so
        assert await bench.end() is Result.UNKNOWN_CALL

        good = image()
        assert await bench.call(Call.VM_CREATE, 1, 1, 0, 1, 1) is Result.OK
        assert await bench.load(1, good) == (Result.OK, len(good) // 4)
        words = [int.from_bytes(bytes(range(32))[n : n + 4], "little") for n in range(0, 32, 4)]
        assert bench.clusters.written == [(1, word) for word in words]
        assert await bench.call(Call.VM_START, 1) is Result.OK
        assert bench.clusters.states == [ClusterState.FREE, ClusterState.RUNNING]
        assert await bench.status(StatusKind.CLUSTER, 1) == [ClusterState.RUNNING.value, 1, 0, 0]
        assert await bench.status(StatusKind.VM, 1) == [VmState.RUNNING.value, 0x01010001, 0, 0]

        assert await bench.call(Call.VM_CREATE, 2, 0, 0, 1, 1) is Result.OK
        bad = bytearray(good)
        bad[165] ^= 1
        assert await bench.load(2, bytes(bad)) == (Result.IMAGE_TAG, len(good) // 4)
        assert bench.clusters.states == [ClusterState.FREE, ClusterState.RUNNING]
        assert await bench.status(StatusKind.VM, 2) == [0, 0, 0, 0]
        assert await bench.status(StatusKind.LOAD, 0) == [Result.IMAGE_TAG.value, 0, 0, 0]

    Bench(script, deadline=60_000)


def test_load_ends_on_abort_and_words_left_are_dropped():
    async def script(bench):
        assert await bench.call(Call.VM_CREATE, 1, 0, 0, 2, 1) is Result.OK
        assert await bench.access(REG.STAGING, 1) is None
        await bench.begin(Call.VM_LOAD, 1, 160 + 64 + 16)
        while not await bench.access(REG.STATUS) & 4:
            pass
        assert await bench.access(REG.COMMAND, Call.VM_DESTROY.value) is None
        for _ in range(10):
            await bench.access(REG.STAGING, 0x12345678)
        assert await bench.access(REG.ABORT, 0) is not None
        assert await bench.end() is Result.ABORTED
        assert await bench.access(REG.STAGING_SPACE) == 0
        assert await bench.access(REG.STAGING, 1) is None
        assert bench.clusters.states == [ClusterState.FREE] * 2

        # A length that no image has is refused without a word.
        assert await bench.call(Call.VM_CREATE, 1, 0, 0, 2, 1) is Result.OK
        assert await bench.call(Call.VM_LOAD, 1, 175) is Result.IMAGE_SIZE

    Bench(script)


def test_channel_serves_its_owner_alone_and_forgets_at_a_new_one():
    mailbox = 1

    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        for vm in (1, 2):
            assert await bench.call(Call.VM_CREATE, vm, vm - 1, 0, 1, 1) is Result.OK
        assert await bench.call(Call.CHANNEL_GRANT, mailbox, 1, 2) is Result.OK
        assert bench.clusters.rows == [{2: mailbox}, {}]

        data, status = ChannelRegister.DATA, ChannelRegister.STATUS
        assert await bench.ask(0, data, 0xCAFE, channel=mailbox) is not None
        assert await bench.ask(1, data, 0xBAD, channel=mailbox) is None
        assert await bench.ask(1, data, channel=mailbox) is None
        assert await bench.access(REG.MAILBOX, offset=data.value) == 0xCAFE
        assert await bench.access(REG.MAILBOX, offset=data.value) is None
        assert await bench.access(REG.MAILBOX, 0xBEEF, offset=data.value) is not None
        assert await bench.status(StatusKind.CHANNEL, mailbox) == [1, 2, 1, 2]
        assert await bench.ask(0, ChannelRegister.ENABLE, 1, channel=mailbox) is not None
        await ctx.tick().repeat(20)
        assert [ctx.get(dut.interrupts[n]) for n in range(2)] == [1 << mailbox, 0]

        assert await bench.call(Call.CHANNEL_REVOKE, mailbox) is Result.OK
        assert bench.clusters.rows == [{}, {}]
        assert await bench.ask(0, data, channel=mailbox) is None
        assert await bench.call(Call.CHANNEL_GRANT, mailbox, 2, 0) is Result.OK
        assert await bench.ask(1, status, channel=mailbox) == 0b10 | 1 << 8
        await ctx.tick().repeat(20)
        assert [ctx.get(dut.interrupts[n]) for n in range(2)] == [0, 0]

        # The owner's end takes the channel with it.
        assert await bench.call(Call.VM_DESTROY, 2) is Result.OK
        assert await bench.ask(1, status, channel=mailbox) is None
        assert await bench.status(StatusKind.CHANNEL, mailbox) == [0, 0, 1, 4]

    Bench(script)


def test_tty_prints_and_reads():
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        assert await bench.call(Call.VM_CREATE, 1, 0, 0, 2, 1) is Result.OK
        assert await bench.call(Call.CHANNEL_GRANT, 0, 1, 0) is Result.OK
        for cluster, letter in enumerate(b"ok"):
            assert await bench.ask(cluster, ChannelRegister.DATA, letter) is not None
        for letter in b"ok":
            ctx.set(dut.tty_out.ready, 1)
            (printed,) = await ctx.tick().sample(dut.tty_out.payload).until(dut.tty_out.valid)
            assert (printed.byte, printed.channel) == (letter, 0)
        ctx.set(dut.tty_out.ready, 0)
        ctx.set(dut.tty_in.valid, 1)
        ctx.set(dut.tty_in.payload, {"byte": ord("y"), "channel": 0})
        await ctx.tick().until(dut.tty_in.ready)
        ctx.set(dut.tty_in.valid, 0)
        assert await bench.ask(1, ChannelRegister.DATA) == ord("y")

    Bench(script)


@pytest.mark.parametrize("key", [bytes(32), ROOT_KEY[::-1]], ids=["zeros", "reversed"])
def test_image_for_another_machine_is_refused(key):
    async def script(bench):
        foreign = pack([bytes(16)], width=1, height=1, root_key=key)
        assert await bench.call(Call.VM_CREATE, 1, 0, 0, 1, 1) is Result.OK
        result, _ = await bench.load(1, foreign)
        assert result is Result.IMAGE_KEY
        assert not bench.clusters.written

    Bench(script, deadline=30_000)


def test_frozen_vm_is_saved_word_by_word_and_restored():
    async def script(bench):
        assert await bench.access(REG.SAVED) is None
        packed = pack([bytes(16)], width=1, height=1, root_key=ROOT_KEY, migrate=True)
        assert await bench.call(Call.VM_CREATE, 2, 1, 0, 1, 1) is Result.OK
        assert (await bench.load(2, packed))[0] is Result.OK
        assert await bench.call(Call.VM_START, 2) is Result.OK
        assert not bench.clusters.resumed[1]
        assert await bench.call(Call.VM_FREEZE, 2) is Result.OK

        result, words = await bench.save(2, count=60)
        assert result is Result.ABORTED
        assert await bench.access(REG.SAVED_WORDS) == 0
        assert await bench.access(REG.SAVED) is None
        before = bench.clusters.reads
        result, words = await bench.save(2)
        assert result is Result.OK
        saved = b"".join(word.to_bytes(4, "little") for word in words)
        unpacked = unpack(saved, root_key=ROOT_KEY)
        assert unpacked.header.nonce == save_number(9, 2)
        assert unpacked.header.generation == 1
        assert unpacked.header.measurement == hashlib.sha256(bytes(16)).digest()
        # The stand-ins give each READ its number.
        numbers = range(before + 1, before + 257)
        assert unpacked.memories == (b"".join(n.to_bytes(4, "little") for n in numbers),)

        assert await bench.call(Call.VM_RESUME, 2) is Result.OK
        assert await bench.call(Call.VM_DESTROY, 2) is Result.OK
        assert await bench.call(Call.VM_CREATE, 1, 0, 0, 1, 1) is Result.OK
        assert (await bench.load(1, saved))[0] is Result.OK
        assert await bench.call(Call.VM_START, 1) is Result.OK
        assert bench.clusters.resumed[0]

    Bench(script, deadline=60_000)


def test_guest_reads_a_report_of_its_own_vm():
    attest, nonce = 2, bytes(range(100, 132))

    async def script(bench):
        packed = image()
        assert await bench.call(Call.VM_CREATE, 1, 0, 0, 1, 1) is Result.OK
        assert (await bench.load(1, packed))[0] is Result.OK
        assert await bench.call(Call.CHANNEL_GRANT, attest, 1, 0) is Result.OK
        data, status = ChannelRegister.DATA, ChannelRegister.STATUS
        for n in range(0, 32, 4):
            word = int.from_bytes(nonce[n : n + 4], "little")
            assert await bench.ask(0, data, word, channel=attest) is not None
        while not await bench.ask(0, status, channel=attest) & 1:
            pass
        assert await bench.ask(1, data, channel=attest) is None
        words = [await bench.ask(0, data, channel=attest) for _ in range(REPORT_WORDS)]
        report = read_report(
            b"".join(word.to_bytes(4, "little") for word in words), key=report_key(ROOT_KEY)
        )
        assert report.nonce == nonce
        assert report.identity == packed[32:48]
        assert report.measurement == unpack(packed, root_key=ROOT_KEY).measurement

    Bench(script, deadline=30_000)
