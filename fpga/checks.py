# SPDX-License-Identifier: Apache-2.0
"""What must be so in a synthesized netlist, whatever tool made it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from blindvisor.fpga.devices import Family
from blindvisor.hdl.cluster.memory import MEMORY_NAME

__all__ = ["NO_LATCH", "PACKET_PATHS", "PROTECTION", "check_netlist", "delayed_paths", "reached"]

NO_LATCH = "proc; select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr"
"""Commands of yosys that fail on a latch. Synthesis would hide it: it makes loops of LUTs of it."""

PROTECTION = {
    "smmu.lifecycle.state": 3,
    "smmu.lifecycle.zeroing": 1,
    "smmu.lifecycle.clean": 1,
    "smmu.channels.valid0": 1,
    "smmu.faults.record": 20,
    "smmu.request_egress.swallowing": 1,
    "smmu.response_egress.swallowing": 1,
    "smmu.request_ingress.dropping": 1,
    "smmu.response_ingress.dropping": 1,
    "scrubber.index": 5,
    "node.phase": 2,
}
"""Registers of a tile's protection, and how many of their bits must still be flip-flops."""

PACKET_PATHS = (
    ("request_out", "mesh_request_out"),
    ("response_out", "mesh_response_out"),
    ("mesh_request_in", "request_in"),
    ("mesh_response_in", "response_in"),
)
"""The SMMU's packet paths: from a port, to a port."""

Cells = Mapping[str, Any]


def check_netlist(
    module: Mapping[str, Any],
    family: Family,
    *,
    multiply: bool,
    memory_rams: int,
    registers: Mapping[str, int] = PROTECTION,
) -> list[str]:
    """Return what is wrong with the flattened netlist of a tile; nothing if all is well.

    Parameters
    ----------
    module : mapping
        As yosys writes it to JSON: cells and names of nets.
    family : :class:`Family`
        Of the FPGA.
    multiply : :class:`bool`
        Whether the cores have multipliers.
    memory_rams : :class:`int`
        Block RAMs that a cluster's memory should take.
    registers : mapping
        Which registers must be left, with how many flip-flops.
    """
    cells, nets = module["cells"], module["netnames"]
    types = Counter(cell["type"] for cell in cells.values())
    wrong = []
    multipliers = sum(number for kind, number in types.items() if family.dsp.get(kind))
    if multipliers and not multiply:
        wrong.append(f"multiplier: {multipliers} without an instruction that multiplies")
    rams = sum(
        family.ebr.get(cell["type"], 0)
        for name, cell in cells.items()
        if _plain(name).startswith(f"memory.{MEMORY_NAME}")
    )
    if rams != memory_rams:
        wrong.append(f"memory: {rams} block RAMs, not {memory_rams}")
    held = {
        bit
        for cell in cells.values()
        if cell["type"].startswith(family.ff)
        for bit in cell["connections"]["Q"]
    }
    for register, least in registers.items():
        left = len(held & set(nets[register]["bits"])) if register in nets else 0
        if left < least:
            wrong.append(f"protection: {left} flip-flops of {register}, not {least}")
    return wrong


def delayed_paths(module: Mapping[str, Any], family: Family) -> list[str]:
    """Return the packet paths of a synthesized SMMU that a flip-flop stands in (P13).

    Parameters
    ----------
    module : mapping
        The netlist of a :class:`~blindvisor.hdl.smmu.smmu.Smmu` alone, as yosys writes it to JSON.
    family : :class:`Family`
        Of the FPGA.
    """
    ports = {name: port["bits"] for name, port in module["ports"].items()}
    late = []

    def registered(kind: str) -> bool:
        return kind.startswith(family.ff) or bool(family.ebr.get(kind))

    for source, target in PACKET_PATHS:
        for what, given, wanted in (
            ("valid", ports[f"{source}__valid"], ports[f"{target}__valid"]),
            ("ready", ports[f"{target}__ready"], ports[f"{source}__ready"]),
        ):
            if not set(wanted) <= reached(module["cells"], given, registered):
                late.append(f"{source} to {target}: {what}")
        given, wanted = ports[f"{source}__payload"], ports[f"{target}__payload"]
        for number, bit in enumerate(wanted):
            if bit not in reached(module["cells"], given[number : number + 1], registered):
                late.append(f"{source} to {target}: payload {number}")
    return late


def reached(cells: Cells, start: Iterable[Any], registered: Callable[[str], bool]) -> set[Any]:
    """Return the bits that follow from others without a register in between.

    ``registered``: whether the outputs of a type of cell wait for a clock.
    """
    consumers: dict[Any, list[Any]] = {}
    for cell in cells.values():
        if registered(cell["type"]):
            continue
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                for bit in bits:
                    consumers.setdefault(bit, []).append(cell)
    reached: set[Any] = set()
    front = list(start)
    while front:
        bit = front.pop()
        if bit in reached:
            continue
        reached.add(bit)
        for cell in consumers.get(bit, ()):
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] == "output":
                    front.extend(bits)
    return reached


def _plain(name: str) -> str:
    return name.replace("$flatten", "").replace("\\", "")
