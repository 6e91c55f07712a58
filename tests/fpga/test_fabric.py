# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""The isolation fabric: an attack is denied, counted and told; without checks it succeeds."""

from typing import Any

import pytest
from amaranth import Module
from amaranth.lib.wiring import connect, flipped
from amaranth.sim import Simulator

from blindvisor.fpga.boards import board_names, load_board
from blindvisor.fpga.fabric_top import Fabric
from blindvisor.hdl.smmu.egress import Egress
from blindvisor.hdl.smmu.ingress import Ingress

DEADLINE = 9000
PAUSE = 9


def _run(config: Any, *, attacks: int) -> tuple[list[str], dict[str, int], int]:
    """Start the fabric, attack, and return its lines, its flags and how often the light changed."""
    fabric = Fabric(config, pause=PAUSE)
    lines = [""]
    flags: dict[str, int] = {}
    changes = 0

    async def bench(context: Any) -> None:
        nonlocal changes
        context.set(fabric.text.ready, 1)
        left = attacks
        light = 0
        for cycle in range(DEADLINE):
            started = context.get(fabric.started)
            attack = started and left and cycle % 500 == 0
            left -= bool(attack)
            context.set(fabric.attack, bool(attack))
            if context.get(fabric.text.valid):
                letter = chr(context.get(fabric.text.payload))
                if letter == "\n":
                    lines.append("")
                else:
                    lines[-1] += letter
            changes += context.get(fabric.light) != light
            light = context.get(fabric.light)
            await context.tick()
        for name in ("started", "refused", "wrong"):
            flags[name] = context.get(getattr(fabric, name))

    simulator = Simulator(fabric)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return lines, flags, changes


def test_attack_is_denied_counted_and_told():
    """Three reads of the neighbour are three counts of OUTSIDE; the neighbour's own use of a
    channel that it was not granted is CHANNEL; the owner's light blinks; no data comes back."""
    lines, flags, changes = _run(load_board("hx8k").machine, attacks=3)
    assert flags == {"started": 1, "refused": 0, "wrong": 0}
    of_attacker = [line for line in lines if line.startswith("C0")]
    assert of_attacker[-1] == "C0 N0003F1"
    assert any(line.startswith("C1 N") and line.endswith("F5") for line in lines)
    assert changes > 2


def test_without_checks_the_attack_gets_the_neighbours_data(monkeypatch: pytest.MonkeyPatch):
    """The control: the same fabric, with packets passed by egress and ingress as they are."""

    def pass_by(self: Any, platform: object) -> Module:
        m = Module()
        if isinstance(self, Egress):
            connect(m, flipped(self.inside), flipped(self.outside))
        else:
            connect(m, flipped(self.outside), flipped(self.inside))
        return m

    monkeypatch.setattr(Egress, "elaborate", pass_by)
    monkeypatch.setattr(Ingress, "elaborate", pass_by)
    _, flags, _ = _run(load_board("hx8k").machine, attacks=1)
    assert flags["wrong"] == 1


@pytest.mark.parametrize("name", board_names())
def test_every_board_description_can_be_used(name: str):
    board = load_board(name)
    assert board.machine.clusters >= 2
    assert board.title
