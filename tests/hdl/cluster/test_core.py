# amaranth: UnusedElaboratable=no
"""The core behind its adapter: what reaches the bus, and what a scrub leaves."""

from blindvisor.hdl.cluster.core import RESET_ADDRESS, MinervaCore
from blindvisor.sim.pysim import simulate
from blindvisor.verification.rv32 import addi, csrr, csrw, jump, li, mret, sw

DATA, HANDLER = 0x300, 0x80
MSTATUS, MIE, MTVEC = 0x300, 0x304, 0x305
TIMER_ENABLE = 1 << 7


def run(core, program, *, cycles, on_store, timer=lambda: 0, reset=lambda cycle: 0):
    """Serve both buses from ``program`` in the cycle of the request."""
    words = program + [jump(0)] * (64 - len(program))

    async def testbench(ctx):
        for cycle in range(cycles):
            ctx.set(core.reset, reset(cycle))
            for bus in (core.fetch, core.data):
                asked = ctx.get(bus.stb)
                if asked and ctx.get(bus.we):
                    on_store(ctx.get(bus.adr) << 2 & 0xFF_FFFF, ctx.get(bus.dat_w))
                ctx.set(bus.dat_r, words[ctx.get(bus.adr) & 63] if asked else 0)
                ctx.set(bus.ack, asked)
            ctx.set(core.timer, timer())
            await ctx.tick()

    simulate(core, testbench, deadline=cycles + 100)


def test_an_interrupted_store_reaches_the_bus_once():
    own = RESET_ADDRESS
    setup = [
        *li(5, own + HANDLER),
        csrw(MTVEC, 5),
        addi(6, 0, TIMER_ENABLE),
        csrw(MIE, 6),
        addi(7, 0, 8),
        csrw(MSTATUS, 7),
        *li(8, own + DATA),
    ]
    loop = [sw(1, 8), addi(1, 1, 1), jump(-8)]
    handler = [sw(0, 8, 4), mret()]
    program = setup + loop
    program += [jump(0)] * (HANDLER // 4 - len(program)) + handler
    stores = []
    raised = []
    calls = 0

    def timer():
        nonlocal calls
        calls += 1
        if calls % 37 == 0:
            raised.append(calls)
        return len(raised) > len(acknowledged)

    acknowledged = []

    def on_store(address, value):
        if address == DATA:
            stores.append(value)
        else:
            acknowledged.append(len(raised))

    run(MinervaCore(multiply=False), program, cycles=1500, on_store=on_store, timer=timer)
    assert len(acknowledged) > 20
    assert stores == list(range(len(stores)))


def test_a_misaligned_store_never_reaches_the_bus():
    own = RESET_ADDRESS
    program = [
        *li(5, own + HANDLER),
        csrw(MTVEC, 5),
        *li(8, own + DATA),
        sw(5, 8, 2),
    ]
    program += [jump(0)] * (HANDLER // 4 - len(program)) + [csrr(9, 0x342), sw(9, 8), jump(0)]
    stores = []
    run(
        MinervaCore(multiply=False),
        program,
        cycles=300,
        on_store=lambda address, value: stores.append((address, value)),
    )
    assert stores == [(DATA, 6)], "only the handler's, with the cause: store address misaligned"
