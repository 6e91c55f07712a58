# amaranth: UnusedElaboratable=no
"""The router, alone, in the middle of a mesh."""

import random
from typing import Any

import pytest

from blindvisor.hdl.noc.router import PORTS, TURNS, Router
from blindvisor.sim import pysim
from blindvisor.verification.benches.noc_traffic import Scoreboard, random_packet, way_out

HERE = (5, 9)
TOWARDS = {"north": (5, 2), "east": (6, 15), "south": (5, 10), "west": (0, 9), "local": HERE}
EDGES = [(0, 0), (15, 15), (0, 15), (15, 0), (5, 8), (4, 9)]


def router(fifo_depth=4):
    return Router(fifo_depth=fifo_depth)


def place(dut):
    async def testbench(ctx):
        ctx.set(dut.x, HERE[0])
        ctx.set(dut.y, HERE[1])

    return testbench


def packet(entry, to, length, rng=None):
    return random_packet(rng or random.Random(0), (PORTS.index(entry), 0), to, length)


def words(packets):
    return [{"data": word & 0xFFFF_FFFF, "last": word >> 32} for p in packets for word in p.words]


def number(flit):
    return flit.data | flit.last << 32


@pytest.mark.parametrize(
    ("depth", "error", "message"),
    [
        (1, ValueError, r"^FIFO depth must be from 2 to 16, not 1$"),
        (17, ValueError, r"^FIFO depth must be from 2 to 16, not 17$"),
        ("4", TypeError, r"^FIFO depth must be an integer, not '4'$"),
    ],
)
def test_wrong_depth_is_refused(depth, error, message):
    with pytest.raises(error, match=message):
        Router(fifo_depth=depth)


def test_turns_are_those_of_x_first_routing():
    destinations = [*TOWARDS.values(), *EDGES]
    allowed = {entry: {way_out(entry, HERE, to) for to in destinations} for entry in PORTS}
    assert {entry: set(outputs) | {None} for entry, outputs in TURNS.items()} == allowed


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("entry", PORTS)
def test_packet_leaves_by_the_right_port_one_cycle_after_it_came(entry, length):
    dut = router()
    seen = []
    drops = []
    goals = [*TOWARDS.values(), *EDGES]

    async def testbench(ctx):
        source = getattr(dut, f"{entry}_in")
        for port in PORTS:
            ctx.set(getattr(dut, f"{port}_out").ready, 1)
        for to in goals:
            flits = words([packet(entry, to, length)])
            for cycle in range(length + 2):
                ctx.set(source.valid, cycle < length)
                ctx.set(source.payload, flits[min(cycle, length - 1)])
                for port in PORTS:
                    sink = getattr(dut, f"{port}_out")
                    if ctx.get(sink.valid):
                        seen.append((to, port, cycle, number(ctx.get(sink.payload))))
                if ctx.get(dut.dropped):
                    drops.append((to, cycle))
                await ctx.tick()

    pysim.simulate(dut, place(dut), testbench)
    outcomes = {to: way_out(entry, HERE, to) for to in goals}
    assert seen == [
        (to, outcomes[to], cycle, word)
        for to in goals
        if outcomes[to]
        for cycle, word in enumerate(packet(entry, to, length).words, start=1)
    ]
    assert drops == [(to, length + 1) for to in goals if not outcomes[to]]


@pytest.mark.parametrize("output", PORTS)
@pytest.mark.parametrize("length", [1, 3])
def test_contending_inputs_are_served_in_turn(output, length):
    dut = router()
    rivals = [entry for entry in PORTS if output in TURNS[entry]]
    rounds = 6
    got = []
    offers = [
        pysim.offer(
            getattr(dut, f"{entry}_in"), words([packet(entry, TOWARDS[output], length)] * rounds)
        )
        for entry in rivals
    ]
    count = len(rivals) * rounds * length
    pysim.simulate(
        dut, place(dut), *offers, pysim.collect(getattr(dut, f"{output}_out"), got, count=count)
    )
    heads = [PORTS[flit.data >> 8 & 0xF] for flit in got[::length]]
    assert sorted(heads) == sorted(rivals * rounds)
    for turn in range(rounds):
        assert set(heads[turn * len(rivals) :][: len(rivals)]) == set(rivals)


def test_two_inputs_pass_to_two_outputs_at_full_rate():
    dut = router(2)
    straight = {"west": "east", "north": "south"}
    got = {output: [] for output in straight.values()}
    count = 60
    testbenches: list[Any] = []
    for entry, output in straight.items():
        flits = words([packet(entry, TOWARDS[output], 3)] * (count // 3))
        testbenches.append(pysim.offer(getattr(dut, f"{entry}_in"), flits))
        testbenches.append(pysim.collect(getattr(dut, f"{output}_out"), got[output], count=count))
    pysim.simulate(dut, place(dut), *testbenches, deadline=count + 3)
    assert all(len(flits) == count for flits in got.values())


def test_refused_offer_stands_unchanged_while_rivals_arrive():
    dut = router()
    sink = dut.local_out

    async def testbench(ctx):
        standing = None
        for cycle in range(12):
            for n, entry in enumerate(("south", "west", "east", "north")):
                source = getattr(dut, f"{entry}_in")
                ctx.set(source.valid, cycle == n)
                ctx.set(source.payload, words([packet(entry, HERE, 1)])[0])
            if ctx.get(sink.valid):
                offer = number(ctx.get(sink.payload))
                assert standing in (None, offer)
                standing = offer
            await ctx.tick()
        assert standing == packet("south", HERE, 1).words[0]

    pysim.simulate(dut, place(dut), testbench)


@pytest.mark.parametrize("depth", [2, 3, 16])
def test_input_takes_as_many_flits_as_it_is_deep(depth):
    dut = router(depth)

    async def testbench(ctx):
        ctx.set(dut.west_in.payload, words([packet("west", HERE, 1)])[0])
        ctx.set(dut.west_in.valid, 1)
        taken = 0
        for _ in range(depth + 4):
            taken += ctx.get(dut.west_in.ready)
            await ctx.tick()
        assert taken == depth

    pysim.simulate(dut, place(dut), testbench)


def test_swallowed_packet_holds_up_nobody():
    dut = router()
    got = []
    flits = words([packet("local", to, 3) for to in (HERE, TOWARDS["east"], HERE, HERE)] * 3)
    flits += words([packet("local", TOWARDS["east"], 1)])
    pysim.simulate(
        dut,
        place(dut),
        pysim.offer(dut.local_in, flits),
        pysim.collect(dut.east_out, got, count=10),
        deadline=60,
    )
    expected = [*packet("local", TOWARDS["east"], 3).words] * 3
    assert [number(flit) for flit in got] == [
        *expected,
        *packet("local", TOWARDS["east"], 1).words,
    ]


@pytest.mark.parametrize("depth", [2, 5])
def test_random_traffic_arrives_once_whole_unchanged_and_in_order(depth):
    rng = random.Random(depth)
    dut = router(depth)
    board = Scoreboard()
    counts: dict[str, int] = dict.fromkeys(PORTS, 0)
    testbenches: list[Any] = [place(dut)]
    for entry in PORTS:
        sent = []
        for _ in range(40):
            to = rng.choice([*TOWARDS.values(), *EDGES])
            sent.append(packet(entry, to, rng.randint(1, 4), rng))
            if output := way_out(entry, HERE, to):
                board.expect(sent[-1], output)
                counts[output] += len(sent[-1].words)
        testbenches.append(pysim.offer(getattr(dut, f"{entry}_in"), words(sent)))
    got = {port: [] for port in PORTS}
    for port in PORTS:
        testbenches.append(
            pysim.collect(
                getattr(dut, f"{port}_out"),
                got[port],
                count=counts[port],
                pause=lambda: rng.choice((0, 0, 3)),
            )
        )
    pysim.simulate(dut, *testbenches, deadline=5_000)
    for port in PORTS:
        for flit in got[port]:
            board.saw(port, number(flit))
    assert board.outstanding == 0


@pytest.mark.parametrize("output", PORTS)
def test_clear_forgets_who_was_served_last(output):
    """P5, P12: whoever was served last before it, the same input is first after it."""
    rivals = [entry for entry in PORTS if output in TURNS[entry]]

    def first_after(last, *, clear):
        dut = router()
        sink = getattr(dut, f"{output}_out")
        heads = []

        async def testbench(ctx):
            async def offer(entries):
                for entry in entries:
                    source = getattr(dut, f"{entry}_in")
                    ctx.set(source.payload, words([packet(entry, TOWARDS[output], 1)])[0])
                    ctx.set(source.valid, 1)
                await ctx.tick()
                for entry in entries:
                    ctx.set(getattr(dut, f"{entry}_in").valid, 0)

            ctx.set(sink.ready, 1)
            await offer([last])
            await ctx.tick().repeat(2)
            ctx.set(dut.clear, clear)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            await offer(rivals)
            for _ in rivals:
                assert ctx.get(sink.valid)
                heads.append(PORTS[ctx.get(sink.payload.data) >> 8 & 0xF])
                await ctx.tick()

        pysim.simulate(dut, place(dut), testbench)
        return heads

    kept = [first_after(last, clear=0) for last in rivals]
    assert [heads[-1] for heads in kept] == rivals
    assert [first_after(last, clear=1) for last in rivals] == [rivals] * len(rivals)
