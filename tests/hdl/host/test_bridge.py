# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""The bridge between a line and a stand-in of the hypervisor's port."""

from collections import deque

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.host.bridge import HostBridge
from blindvisor.hdl.host.frames import (
    ANSWER,
    LINK_MAGIC,
    FrameType,
    Outcome,
    machine_hash,
)
from blindvisor.sim import pysim
from blindvisor.sw.host.wire import Decoder, Frame, encode

CONFIG = MachineConfig(name="test", width=2, height=1)
CLOCK, BAUD = 4_000_000, 1_000_000
DIVISOR = CLOCK // BAUD


class Bench:
    """A bridge, its line as bytes, and a port whose registers are a dictionary."""

    def __init__(self):
        self.dut = HostBridge(CONFIG, clock_hz=CLOCK, baud=BAUD)
        self.registers = {0x000: 0x31564C42, 0x014: 2, 0x020: 0}
        self.accesses = []
        self.printed = deque()
        self.typed = []
        self.decoder = Decoder()
        self.answers = deque()

    def run(self, testbench, deadline=200_000):
        async def port(ctx):
            dut = self.dut
            while True:
                await ctx.tick()
                bus = dut.hypervisor
                # Answers belong to the same cycle.
                stb = ctx.get(bus.stb)
                address, we = ctx.get(bus.adr), ctx.get(bus.we)
                known = address in self.registers
                ctx.set(bus.ack, stb & known)
                ctx.set(bus.err, stb & ~known & 1)
                ctx.set(bus.dat_r, self.registers.get(address, 0) if stb and not we else 0)
                if stb:
                    value = ctx.get(bus.dat_w) if we else None
                    self.accesses.append((address, value))
                    if we and known:
                        self.registers[address] = value

        async def listen(ctx):
            tx = self.dut.tx
            while True:
                while ctx.get(tx):
                    await ctx.tick()
                await ctx.tick().repeat(DIVISOR // 2)
                byte = 0
                for bit in range(8):
                    await ctx.tick().repeat(DIVISOR)
                    byte |= ctx.get(tx) << bit
                await ctx.tick().repeat(DIVISOR)
                assert ctx.get(tx) == 1
                self.answers.extend(self.decoder.feed(bytes([byte])))

        async def wrapped(ctx):
            ctx.set(self.dut.rx, 1)
            await ctx.tick().repeat(4)
            await testbench(ctx, self)

        simulate(self.dut, wrapped, [port, listen], deadline)

    async def say(self, ctx, data):
        for byte in data:
            for bit in (0, *((byte >> n & 1) for n in range(8)), 1):
                ctx.set(self.dut.rx, bit)
                await ctx.tick().repeat(DIVISOR)

    async def ask(self, ctx, type, sequence, *words):
        await self.say(ctx, encode(Frame(type.value, sequence, words)))
        while not self.answers:
            await ctx.tick()
        answer = self.answers.popleft()
        assert answer.type == type.value | ANSWER
        assert answer.sequence == sequence
        return answer.words


def simulate(dut, testbench, background, deadline):
    from amaranth.sim import Simulator

    async def watchdog(ctx):
        await ctx.delay(deadline * pysim.PERIOD)
        raise TimeoutError(f"testbench still waiting after {deadline} cycles")

    simulator = Simulator(dut)
    simulator.add_clock(pysim.PERIOD)
    simulator.add_testbench(testbench)
    for other in (*background, watchdog):
        simulator.add_testbench(other, background=True)
    simulator.run()


def test_hello_describes_the_machine():
    async def testbench(ctx, bench):
        words = await bench.ask(ctx, FrameType.HELLO, 5, 0x1234_5678)
        number = machine_hash(CONFIG)
        assert words[:5] == (LINK_MAGIC, number & 0xFFFF_FFFF, number >> 32, CLOCK, 0x1234_5678)
        assert words[6] == Outcome.OK.value << 16

    Bench().run(testbench)


def test_accesses_in_order():
    async def testbench(ctx, bench):
        await bench.ask(ctx, FrameType.HELLO, 5, 1)
        words = await bench.ask(
            ctx, FrameType.ACCESS, 6, 0x1_8020, 0x7E7D7E7D, 0x1_0020, 0x2_0014, 0x1_0000
        )
        assert words[:4] == (0x7E7D7E7D, 2, 2, 0x31564C42)
        assert words[5] == 5 | Outcome.OK.value << 16
        words = await bench.ask(ctx, FrameType.ACCESS, 7, 0x1_0000, 0x3_0ABC, 0x1_0000)
        assert words[0] == 0x31564C42
        assert words[2] == 1 | Outcome.BUS_ERROR.value << 16
        before = list(bench.accesses)
        assert before[-1] == (0xABC, None)
        words = await bench.ask(ctx, FrameType.ACCESS, 7, 0x1_0000, 0x3_0ABC, 0x1_0000)
        assert words[2] == 1 | Outcome.BUS_ERROR.value << 16
        assert bench.accesses == before

    Bench().run(testbench)
