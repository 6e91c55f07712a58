# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the host link's bridge: its pins, against the model of the device."""

import random
from collections import deque
from functools import partial
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Event, FallingEdge, First, RisingEdge, Timer

from blindvisor.hdl.host.frames import ANSWER, FrameType, Outcome
from blindvisor.sim.virtual import LineNoise
from blindvisor.sw.host.device import Device
from blindvisor.sw.host.wire import Decoder, Frame, encode
from blindvisor.verification.benches.host_rig import (
    CLOCK_HZ,
    COMMAND,
    COUNTER,
    DIVISOR,
    LAST,
    STAGING,
    STATUS,
    StandIn,
)

PERIOD_NS = 10
BIT_NS = DIVISOR * PERIOD_NS
BYTE_NS = 10 * BIT_NS
SILENCE = 120
"""Bytes: longer than any answer of the random frames, with what is typed."""


class Line:
    """The host's end: bytes out and frames in, through noise."""

    def __init__(self, dut: Any, noise: float = 0.0) -> None:
        self.dut = dut
        self.frames: deque[Frame] = deque()
        self.heard = 0
        self.typed: list[int] = []
        seed = cocotb.RANDOM_SEED
        self._to_device = LineNoise(seed=2 * seed, rate=noise)
        self._to_host = LineNoise(seed=2 * seed + 1, rate=noise)
        self._decoder = Decoder()
        self._arrived = Event()

    async def start(self) -> None:
        """Reset, then listen."""
        self.dut.rx.value = 1
        self.dut.print_until.value = 0
        self.dut.rst.value = 1
        Clock(self.dut.clk, PERIOD_NS, "ns").start()
        await ClockCycles(self.dut.clk, 4)
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 8)
        cocotb.start_soon(self._listen())
        cocotb.start_soon(self._watch_typed())

    async def say(self, data: bytes, *, clean: bool = False) -> None:
        """Send bytes."""
        for byte in data if clean else self._to_device(data):
            for bit in (0, *(byte >> n & 1 for n in range(8)), 1):
                self.dut.rx.value = bit
                await Timer(BIT_NS, "ns")

    async def ask(
        self, frame: Frame, *, attempts: int = 40, silence: int = SILENCE
    ) -> tuple[int, ...]:
        """Send until answered; return the answer's words without its clock."""
        for _ in range(attempts):
            await self.say(encode(frame))
            while True:
                while self.frames:
                    answer = self.frames.popleft()
                    if (answer.type, answer.sequence) == (frame.type | ANSWER, frame.sequence):
                        return (*answer.words[:-2], answer.words[-1])
                self._arrived.clear()
                timer = Timer(silence * BYTE_NS, "ns")
                if await First(self._arrived.wait(), timer) is timer:
                    break
        raise AssertionError(f"no answer to {frame}")

    async def _listen(self) -> None:
        tx = self.dut.tx
        while True:
            if tx.value:
                await FallingEdge(tx)
            await Timer(BIT_NS + BIT_NS // 2, "ns")
            byte = 0
            for n in range(8):
                byte |= int(tx.value) << n
                await Timer(BIT_NS, "ns")
            assert tx.value == 1, "the device must send a stop bit"
            self.heard += 1
            self.frames += self._decoder.feed(self._to_host(bytes((byte,))))
            if self.frames:
                self._arrived.set()

    async def _watch_typed(self) -> None:
        while True:
            await RisingEdge(self.dut.typed_valid)
            self.typed.append(int(self.dut.typed.value))


def _random_frame(rng: random.Random) -> Frame:
    """A frame of any type; its number is filled in later."""
    kind = rng.choice([FrameType.ACCESS] * 4 + [FrameType.TTY_READ, FrameType.TTY_WRITE])
    words: list[int] = []
    if kind is FrameType.ACCESS:
        for _ in range(rng.randrange(1, 5)):
            write = rng.random() < 0.5
            address = rng.choice([COMMAND, STAGING] if write else [STATUS, LAST, COUNTER, COUNTER])
            if rng.random() < 0.05:
                address = rng.randrange(1 << 12)
            count = rng.choice([0, 1, 1, 2, 5])
            words.append(address | int(write) << 15 | count << 16)
            if write:
                given = max(count - (rng.random() < 0.05), 0)
                odd = rng.random() < 0.1
                words += [
                    rng.choice([rng.getrandbits(31) * 2, 0x7E7D_7E7C]) | odd for _ in range(given)
                ]
    elif kind is FrameType.TTY_WRITE:
        words = [rng.randrange(256) | rng.randrange(4) << 8 for _ in range(rng.randrange(4))]
    return Frame(kind.value, 0, tuple(words))


async def _compare(dut: Any, *, noise: float, frames: int) -> int:
    """Have random frames carried out by RTL and model; return how many were sent again."""
    rng = random.Random(cocotb.RANDOM_SEED)
    line, stand_in = Line(dut, noise), StandIn()
    device = Device(stand_in, clock_hz=CLOCK_HZ)
    await line.start()
    sent = 0
    for number in range(frames):
        frame = _random_frame(rng) if number else Frame(FrameType.HELLO.value, 0, (77,))
        frame = Frame(frame.type, number % 256, frame.words)
        stand_in.print_until += rng.randrange(3)
        dut.print_until.value = stand_in.print_until
        expected = Decoder().feed(device.feed(encode(frame)))[0].words
        before = line.heard
        answer = await line.ask(frame)
        sent += line.heard - before > 10 * len(answer) + 40
        assert answer == (*expected[:-2], expected[-1]), f"answer to {frame}"
        assert dut.commands.value == stand_in.commands
        assert dut.staged.value == stand_in.staged
    await Timer(100 * BIT_NS, "ns")
    assert line.typed == stand_in.typed
    assert stand_in.typed
    return sent


@cocotb.test()
async def does_what_the_model_does(dut: Any) -> None:
    """On a clean line."""
    await _compare(dut, noise=0.0, frames=200)


@cocotb.test()
async def nothing_lost_and_nothing_twice_through_noise(dut: Any) -> None:
    """Answers and effects are those of the clean line."""
    await _compare(dut, noise=0.004, frames=150)


@cocotb.test()
async def noise_alone_does_nothing(dut: Any) -> None:
    """Random bytes, random frames with wrong CRCs, a line held low; then it works as before."""
    line = Line(dut)
    await line.start()
    rng = random.Random(cocotb.RANDOM_SEED)
    await line.ask(Frame(FrameType.HELLO.value, 1, (5,)))
    heard = line.heard
    await line.say(rng.randbytes(2000))
    for _ in range(40):
        spoiled = bytearray(encode(Frame(FrameType.ACCESS.value, 9, (COMMAND | 0x1_8000, 4))))
        spoiled[rng.randrange(1, len(spoiled))] ^= 1 << rng.randrange(8)
        await line.say(bytes(spoiled))
    dut.rx.value = 0
    await Timer(300 * BIT_NS, "ns")
    dut.rx.value = 1
    await Timer(20 * BIT_NS, "ns")
    assert line.heard == heard
    assert dut.accesses.value == 0
    words = await line.ask(Frame(FrameType.ACCESS.value, 9, (COMMAND | 0x1_8000, 4)), attempts=1)
    assert words == (1 | Outcome.OK.value << 16 | 1 << 24,)


@cocotb.test()
async def sessions(dut: Any) -> None:
    """No call without HELLO; WHO changes nothing; HELLO forgets the stored answer."""
    line = Line(dut)
    await line.start()
    call = Frame(FrameType.ACCESS.value, 3, (COMMAND | 0x1_8000, 9))
    assert await line.ask(call, attempts=1) == (Outcome.NO_SESSION.value << 16,)
    assert (await line.ask(Frame(FrameType.WHO.value, 200, ()), attempts=1))[4] == 0
    assert dut.accesses.value == 0
    for words in ((), (0,), (1, 2)):
        answer = await line.ask(Frame(FrameType.HELLO.value, 3, words), attempts=1)
        assert answer == (Outcome.MALFORMED.value << 16,)
    assert (await line.ask(Frame(FrameType.HELLO.value, 3, (8,)), attempts=1))[4] == 8
    done = (1 | Outcome.OK.value << 16 | 1 << 24,)
    assert await line.ask(call, attempts=1) == done
    assert (await line.ask(Frame(FrameType.WHO.value, 3, ()), attempts=1))[4] == 8
    assert await line.ask(call, attempts=1) == done
    assert dut.commands.value == 1
    assert (await line.ask(Frame(FrameType.HELLO.value, 3, (9,)), attempts=1))[4] == 9
    assert await line.ask(call, attempts=1) == (1 | Outcome.OK.value << 16,)
    assert dut.commands.value == 2


@cocotb.test()
async def the_longest_frames(dut: Any) -> None:
    """As many words as fit, both ways; one more read than fits is malformed."""
    line = Line(dut)
    await line.start()
    ask = partial(line.ask, attempts=1, silence=1500)
    await ask(Frame(FrameType.HELLO.value, 0, (1,)))
    words = tuple(2 * n for n in range(254))
    header = STAGING | 1 << 15 | 254 << 16
    done = 254 | Outcome.OK.value << 16
    answer = await ask(Frame(FrameType.ACCESS.value, 1, (header, *words)), attempts=1, silence=1500)
    assert answer == (done,)
    answer = await ask(
        Frame(FrameType.ACCESS.value, 2, (COUNTER | 253 << 16,)), attempts=1, silence=1500
    )
    assert answer == (*range(253), 253 | Outcome.OK.value << 16)
    answer = await ask(
        Frame(FrameType.ACCESS.value, 3, (COUNTER | 254 << 16,)), attempts=1, silence=1500
    )
    assert answer == (*range(253, 506), 253 | Outcome.MALFORMED.value << 16)
    answer = await ask(Frame(17, 4, ()))
    assert answer == (Outcome.MALFORMED.value << 16,)
    dut.print_until.value = 300
    answer = await ask(Frame(FrameType.TTY_READ.value, 5, ()))
    assert answer == (*(n % 256 for n in range(253)), Outcome.OK.value << 16 | 1 << 25)
    answer = await ask(Frame(FrameType.TTY_READ.value, 6, ()))
    assert answer == (*(n % 256 for n in range(253, 300)), Outcome.OK.value << 16)
