# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""Random programs, traps included, leave the same memory on the interpreter and on the core."""

from random import Random
from typing import Any

import pytest

from blindvisor.hdl.cluster.core import RESET_ADDRESS, MinervaCore
from blindvisor.sim.pysim import simulate
from blindvisor.sw.model.rv32 import AccessError, Core, Decoder
from blindvisor.verification.fuzz.instructions import i_type, instruction, s_type, u_type

# Places of a program: data within reach of x0, the trap handler, the code, and what comes out.
SIZE = 0x8000
DATA, HANDLER, CODE, REGISTERS, LOG = 0, 0xC00, 0x1000, 0x5000, 0x5100
END = 0x7FFC  # a store here ends the run
INSTRUCTIONS = 120


class Memory:
    """Bus of a core with one memory, at 0 and at the reset address; all else is an error."""

    def __init__(self, words: list[int]) -> None:
        self.words = list(words)
        self.ended = False

    def fetch(self, address: int) -> int:
        if address >> 24 not in (0, 0xFF) or (offset := address & 0xFF_FFFF) >= SIZE:
            raise AccessError
        return self.words[offset >> 2]

    def load(self, core: int, address: int, select: int) -> int:
        return self.fetch(address)

    def store(self, core: int, address: int, select: int, value: int) -> None:
        old = self.fetch(address)
        lanes = sum(0xFF << 8 * n for n in range(4) if select >> n & 1)
        self.words[(address & 0xFF_FFFF) >> 2] = old & ~lanes | value & lanes
        self.ended = self.ended or address & 0xFF_FFFF == END

    def interrupts(self, core: int) -> int:
        return 0


def program(seed: int) -> list[int]:
    """Memory of a random program. x28..x31 are its trap handler's."""
    rng = Random(seed)
    words = [0] * (SIZE // 4)

    def put(offset: int, *code: int) -> int:
        words[offset >> 2 : (offset >> 2) + len(code)] = code
        return offset + 4 * len(code)

    put(0, u_type(0x37, 28, RESET_ADDRESS + CODE), i_type(0x67, 0, 0, 28, 0))
    # Trap handler: log cause, value and address; go on behind the instruction.
    handler = [i_type(0x73, 2, 28 + n, 0, csr) for n, csr in enumerate((0x342, 0x343, 0x341))]
    handler += [s_type(2, 31, 28 + n, 4 * n) for n in range(3)]
    handler += [i_type(0x13, 0, 31, 31, 12), i_type(0x13, 0, 30, 30, 4)]
    handler += [i_type(0x73, 1, 0, 30, 0x341), 0x3020_0073]
    put(HANDLER, *handler)
    at = put(
        CODE,
        *(u_type(0x37, 31, LOG), i_type(0x13, 0, 31, 31, LOG & 0xFFF)),
        *(u_type(0x37, 28, RESET_ADDRESS + 0x1000), i_type(0x13, 0, 28, 28, HANDLER - 0x1000)),
        i_type(0x73, 1, 0, 28, 0x305),
    )
    for register in range(1, 16):
        value = rng.choice((rng.getrandbits(32), rng.getrandbits(4), DATA + 4 * rng.randrange(99)))
        at = put(at, u_type(0x37, register, value), i_type(0x13, 0, register, register, value))
    for _ in range(INSTRUCTIONS):
        at = put(at, *instruction(rng))
    # Landing places of the last jumps, then all registers into memory.
    at = put(at, *[0x13] * 4, u_type(0x37, 30, REGISTERS))
    at = put(at, *(s_type(2, 30, register, 4 * register) for register in range(1, 30)))
    at = put(at, u_type(0x37, 30, END + 4), s_type(2, 30, 0, -4), 0x6F)
    assert at < REGISTERS
    return words


def on_interpreter(words: list[int], *, multiply: bool) -> list[int]:
    memory = Memory(words)
    core = Core(
        number=0, bus=memory, decoder=Decoder(multiply=multiply), reset_address=RESET_ADDRESS
    )
    for _ in range(40 * INSTRUCTIONS):
        core.run(1)
        if memory.ended:
            return memory.words
    raise AssertionError("the program does not end")


def on_core(words: list[int], *, multiply: bool) -> list[int]:
    memory = Memory(words)
    core = MinervaCore(multiply=multiply)

    async def testbench(ctx: Any) -> None:
        while not memory.ended:
            for bus in (core.data, core.fetch):
                good = bad = value = 0
                if ctx.get(bus.stb):
                    address, select = ctx.get(bus.adr) << 2, ctx.get(bus.sel)
                    try:
                        if ctx.get(bus.we):
                            memory.store(0, address, select, ctx.get(bus.dat_w))
                        else:
                            value = memory.load(0, address, select)
                        good = 1
                    except AccessError:
                        bad = 1
                ctx.set(bus.ack, good)
                ctx.set(bus.err, bad)
                ctx.set(bus.dat_r, value)
            await ctx.tick()

    simulate(core, testbench, deadline=40 * INSTRUCTIONS)
    return memory.words


@pytest.mark.parametrize(("multiply", "seed"), [(False, 7), (True, 7)], ids=["rv32i", "rv32im"])
def test_same_memory_in_the_end(multiply, seed):
    words = program(seed)
    expected = on_interpreter(words, multiply=multiply)
    found = on_core(words, multiply=multiply)
    traps = {expected[n] for n in range(LOG >> 2, END >> 2, 3)}
    assert {2, 3, 4, 5, 6, 7, 11} <= traps
    different = [hex(4 * n) for n in range(SIZE // 4) if expected[n] != found[n]]
    assert not different
