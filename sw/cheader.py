# SPDX-License-Identifier: Apache-2.0
"""The guests' C header, rendered from the shared numbers."""

from pathlib import Path

from blindvisor.hdl.abi import (
    OWN_CLUSTER,
    REGISTER_OFFSET,
    WINDOW_OFFSET,
    ChannelKind,
    ChannelRegister,
    CoreRegister,
    GuestRegister,
)

__all__ = ["CORE_REGISTERS", "CORE_STRIDE", "PAGE", "PATH", "render"]

CORE_REGISTERS = 0x200
"""Offset of core 0's registers (CoreRegister) from REGISTER_OFFSET."""

CORE_STRIDE = 0x20
"""Bytes from one core's registers to the next core's."""

PAGE = 0x1_0000
"""Bytes of one guest channel in the I/O window."""

PATH = Path(__file__).parent / "guests" / "include" / "blindvisor.h"
"""Where the committed copy is; ``python -m blindvisor.sw.cheader`` writes it."""

_HEAD = """\
/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses a guest can use. Made from hdl/abi.py by `python -m blindvisor.sw.cheader`: edit that.
 *
 * A guest-physical address is gx[31:28] gy[27:24] offset[23:0]. Everything is little-endian.
 * Registers and channels take whole, aligned words only; anything else is a precise access fault.
 */
#ifndef BLINDVISOR_H
#define BLINDVISOR_H

#ifndef __ASSEMBLER__
#include <stdint.h>
#define BV_UINT32(value) ((uint32_t)(value))
#define BV_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#else
#define BV_UINT32(value) (value)
#endif
"""


def render() -> str:
    """Return the header's text.

    ``BV_NAME`` is the address of a register in the own cluster, ``BV_NAME_OFFSET`` its offset in
    any cluster of the VM (use it with ``BV_CLUSTER(gx, gy)``); core registers and channels take
    their number as an argument. ``BV_REGISTER(address)`` is the word there.
    """
    own = OWN_CLUSTER << 24
    lines = [
        _HEAD,
        "/* Where things are: own cluster, or cluster (gx, gy) of the VM. */",
        _define("BV_OWN_CLUSTER", _word(own)),
        _define("BV_CLUSTER(gx, gy)", "(BV_UINT32(gx) << 28 | BV_UINT32(gy) << 24)"),
        _define("BV_REGISTER_OFFSET", _word(REGISTER_OFFSET)),
        _define("BV_WINDOW_OFFSET", _word(WINDOW_OFFSET)),
        "",
        "/* Identity, faults and time of a cluster. */",
    ]
    for register in GuestRegister:
        lines += [
            _define(f"BV_{register.name}_OFFSET", _word(REGISTER_OFFSET + register.value)),
            _define(f"BV_{register.name}", _word(own + REGISTER_OFFSET + register.value)),
        ]
    lines += ["", "/* Timer, software interrupt and channel interrupts of a core. */"]
    for register in CoreRegister:
        name = f"BV_CORE_{register.name}"
        offset = REGISTER_OFFSET + CORE_REGISTERS + register.value
        lines += [
            _define(f"{name}_OFFSET(core)", _indexed(offset, "core", CORE_STRIDE)),
            _define(f"{name}(core)", _indexed(own + offset, "core", CORE_STRIDE)),
        ]
    lines += ["", "/* Guest channel n, own cluster only. */"]
    for register in ChannelRegister:
        address = own + WINDOW_OFFSET + register.value
        lines.append(_define(f"BV_CHANNEL_{register.name}(n)", _indexed(address, "n", PAGE)))
    lines += [
        _define("BV_CHANNEL_READABLE", _word(1)),
        _define("BV_CHANNEL_WRITABLE", _word(2)),
        _define("BV_CHANNEL_KIND(status)", "((status) >> 8 & 0xffu)"),
    ]
    lines += [_define(f"BV_KIND_{kind.name}", _word(kind.value)) for kind in ChannelKind]
    lines += ["", "#endif", ""]
    return "\n".join(lines)


def _define(name: str, value: str) -> str:
    return f"#define {name} {value}"


def _word(value: int) -> str:
    return f"BV_UINT32({value:#x})"


def _indexed(base: int, index: str, stride: int) -> str:
    return f"(BV_UINT32({base:#x}) + {stride:#x} * BV_UINT32({index}))"


if __name__ == "__main__":
    PATH.parent.mkdir(parents=True, exist_ok=True)
    PATH.write_text(render())
