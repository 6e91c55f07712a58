# SPDX-License-Identifier: Apache-2.0
"""The register map as a page of documentation, rendered from the shared numbers."""

import inspect
import re
from enum import Enum
from pathlib import Path

from blindvisor.hdl import abi
from blindvisor.sw.cheader import CORE_REGISTERS, CORE_STRIDE, PAGE

__all__ = ["PATH", "render"]

PATH = Path(__file__).parents[1] / "docs" / "registers.md"
"""Where the committed copy is; ``python -m blindvisor.sw.registers`` writes it."""

_HEAD = """\
# Register map

Made by `python -m blindvisor.sw.registers` from `hdl/abi.py`; do not edit. What calls mean is in
[interfaces.md](interfaces.md). All registers are 32-bit words, little-endian, whole words only.
"""


def render() -> str:
    """Return the page's text."""
    own = abi.OWN_CLUSTER << 24
    parts = [
        _HEAD,
        "## The hypervisor's port\n",
        _table(abi.HypervisorRegister, title="register", base=0, digits=3),
        "### Calls (COMMAND)\n",
        _table(abi.Call, title="call"),
        "### Results (RESULT)\n",
        _table(abi.Result, title="result"),
        "### Kinds of STATUS\n",
        _table(abi.StatusKind, title="kind"),
        "### States and faults\n",
        _table(abi.ClusterState, title="state of a cluster"),
        _table(abi.VmState, title="state of a VM"),
        _table(abi.Fault, title="fault"),
        _table(abi.ChannelKind, title="kind of a channel"),
        "## A guest's registers\n",
        "Addresses in the own cluster; the same offsets in every cluster of the VM.\n",
        _table(abi.GuestRegister, title="register", base=own + abi.REGISTER_OFFSET),
        f"Per core, `{CORE_STRIDE:#x}` further for each next core:\n",
        _table(abi.CoreRegister, title="register", base=own + abi.REGISTER_OFFSET + CORE_REGISTERS),
        f"Per guest channel, `{PAGE:#x}` further for each next one; own cluster only:\n",
        _table(abi.ChannelRegister, title="register", base=own + abi.WINDOW_OFFSET),
    ]
    return "\n".join(parts)


def _table(kind: type[Enum], *, title: str, base: int | None = None, digits: int = 8) -> str:
    """One row per member: number, name, and the comment that stands beside it."""
    remarks = _remarks(kind)
    heading = "number" if base is None else "address"
    rows = [f"| {heading} | {title} | |", "|---|---|---|"]
    for member in kind:
        number = str(member.value) if base is None else f"`0x{base + member.value:0{digits}x}`"
        rows.append(f"| {number} | {member.name} | {remarks.get(member.name, '')} |")
    return "\n".join([*rows, ""])


def _remarks(kind: type[Enum]) -> dict[str, str]:
    """Comments of the members, continuation lines included."""
    remarks: dict[str, str] = {}
    current = None
    for line in inspect.getsource(kind).splitlines():
        if found := re.match(r"\s+([A-Z]\w*) = \w+\s*(?:#\s*(.*))?$", line):
            current = found[1]
            remarks[current] = found[2] or ""
        elif current and (more := re.match(r"\s+#\s+(.*)$", line)):
            remarks[current] = f"{remarks[current]} {more[1]}".strip()
        else:
            current = None
    return {name: text.replace("|", "\\|") for name, text in remarks.items()}


if __name__ == "__main__":
    PATH.write_text(render())
