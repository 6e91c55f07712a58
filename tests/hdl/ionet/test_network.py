# amaranth: UnusedElaboratable=no
"""Root, tree and leaves together, against the cycle-exact model."""

import pytest
from amaranth import Value

from blindvisor.sim import pysim
from blindvisor.verification.benches.ionet import IoNetwork, line
from blindvisor.verification.benches.ionet_model import Traffic


def run(config, traffic, cycles):
    """Compare every output in every cycle; return all that was seen."""
    dut = IoNetwork(config)
    signals = {
        "__".join(map(str, path)): Value.cast(port) for path, _, port in dut.signature.flatten(dut)
    }
    seen = []

    async def testbench(ctx):
        for _ in range(cycles):
            for name, value in traffic.inputs().items():
                ctx.set(signals[name], value)
            expected = traffic.outputs()
            values = {name: ctx.get(signals[name]) for name in expected}
            assert values == expected, f"cycle {traffic.cycle}"
            seen.append(values)
            traffic.advance()
            await ctx.tick()

    pysim.simulate(dut, testbench)
    return seen


@pytest.mark.parametrize("clusters", [1, 2, 3, 4, 5, 16])
@pytest.mark.parametrize("request_chance", [0.02, 1.0], ids=["sparse", "flood"])
def test_every_output_follows_the_model(clusters, request_chance):
    config = line(clusters)
    traffic = Traffic(
        config,
        seed=1,
        request_chance=[request_chance] * clusters,
        command_chance=0.5,
        targets=[None, *range(1 << max(1, (clusters - 1).bit_length()))],
    )
    run(config, traffic, 300 + 10 * clusters)
    assert min(traffic.answered) > 0
    assert traffic.replied > 0


@pytest.mark.parametrize(("clusters", "observer"), [(4, 0), (5, 4), (16, 7)])
def test_what_a_leaf_sees_does_not_depend_on_its_neighbours(clusters, observer):
    """P12: the same schedule, alone and beside neighbours that ask and are asked all the time."""
    config = line(clusters)
    others = [k for k in range(clusters) if k != observer]
    traces = []
    for chance in (0.0, 1.0):
        traffic = Traffic(
            config,
            seed=2,
            request_chance=[0.1 if k == observer else chance for k in range(clusters)],
            command_chance=chance,
            targets=others,
        )
        seen = run(config, traffic, 300)
        assert traffic.answered[observer] >= 4
        assert all((traffic.answered[k] > 0) == (chance > 0) for k in others)
        traces.append(
            [
                {name: value for name, value in values.items() if f"__{observer}" in name}
                | {name: values[name] >> observer & 1 for name in ("busy", "speaking")}
                for values in seen
            ]
        )
    assert traces[0] == traces[1]
