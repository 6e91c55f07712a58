# SPDX-License-Identifier: Apache-2.0
"""What the machine remembers of each VM identity, and the port to where it is kept."""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig

__all__ = ["STORE_ROW", "StorePort", "store_request"]

STORE_ROW = data.StructLayout(
    {"identity": 128, "version": 32, "generation": 32, "valid": 1, "reserved": 63}
)
"""Highest security version accepted, and number of saves. All zeros: a free row."""


def store_request(config: MachineConfig) -> data.StructLayout:
    """One read or write of row ``index``; ``row`` is what to write."""
    return data.StructLayout(
        {"write": 1, "index": bits_for(config.store_rows - 1), "row": STORE_ROW}
    )


class StorePort(wiring.Signature):
    """Port to the store, seen from the machine.

    Members
    -------
    request : :py:`Out(stream.Signature(store_request(config)))`
        One at a time: the next one is not offered before the response to the last.
    response : :py:`In({valid, row})`
        One per request, in any later cycle; after a write, once the row is durable.
    """

    def __init__(self, config: MachineConfig) -> None:
        super().__init__(
            {
                "request": Out(stream.Signature(store_request(config))),
                "response": In(data.StructLayout({"valid": 1, "row": STORE_ROW})),
            }
        )
