# SPDX-License-Identifier: Apache-2.0
"""What travels on the host link: frames of words. Shared by gateware and host.

A frame is ``SYNC type sequence length payload crc``: type, sequence number and length are bytes,
the payload is ``length`` 32-bit words, the CRC is the CRC-32 of IEEE 802.3 (zlib's) over all that
stands between SYNC and itself; words and CRC with their low byte first. Behind SYNC, each byte that
is SYNC or ESCAPE is sent as ESCAPE and the byte with bit 5 inverted: SYNC itself occurs nowhere
else, so whoever lost the thread finds it again at the next frame.
"""

import hashlib
import json

from amaranth.lib import data, enum

from blindvisor.hdl.config import MachineConfig

__all__ = [
    "ACCESS",
    "ANSWER",
    "CAPACITY",
    "CRC_INITIAL",
    "CRC_POLYNOMIAL",
    "CRC_RESIDUE",
    "ESCAPE",
    "ESCAPE_FLIP",
    "LINK_MAGIC",
    "STATUS",
    "SYNC",
    "TRAILER_WORDS",
    "TTY_WORD",
    "Description",
    "FrameType",
    "Outcome",
    "machine_hash",
]

SYNC = 0x7E
ESCAPE = 0x7D
ESCAPE_FLIP = 0x20

CRC_POLYNOMIAL = 0xEDB88320
"""Low bit first, as the UART sends."""
CRC_INITIAL = 0xFFFF_FFFF
"""The register's start; it is inverted once more before it is sent."""
CRC_RESIDUE = 0xDEBB_20E3
"""The register after a frame and its right CRC."""

CAPACITY = 255
"""Words of payload that a frame holds at most."""

ANSWER = 0x80
"""Bit of the type that makes it the answer to that type."""

LINK_MAGIC = 0x314B4C42
"""First word of a description: "BLK1", this version of the link."""


class FrameType(enum.Enum, shape=8):
    """What the host asks for. Each is answered by one frame, and nothing is sent unasked."""

    NONE = 0
    HELLO = 1  # payload: a session number, not 0. Opens it and ends any other
    WHO = 2  # no payload. The same answer as HELLO; changes nothing
    ACCESS = 3  # payload: ACCESS headers, each write's words behind its own
    TTY_READ = 4  # no payload. Takes what the VMs have printed
    TTY_WRITE = 5  # payload: TTY_WORDs to type


ACCESS = data.StructLayout({"address": 12, "reserved": 3, "write": 1, "count": 8, "unused": 8})
"""``count`` accesses to one register of the hypervisor's port."""

TTY_WORD = data.StructLayout({"byte": 8, "channel": 4, "unused": 20})
"""A byte that was printed or is typed, and its TTY channel."""

STATUS = data.StructLayout(
    {"done": 16, "outcome": 4, "reserved": 4, "interrupt": 1, "printed": 1, "unused": 6}
)
"""Last word of every answer: accesses made or bytes typed; how it ended; the port's interrupt; a
byte waits to be read by TTY_READ. The word before it is the device's clock, in cycles."""

TRAILER_WORDS = 2


class Outcome(enum.Enum, shape=4):
    """How the device carried out a frame; what it had done before it ended is done."""

    NONE = 0
    OK = 1
    BUS_ERROR = 2  # the port refused the access behind the `done` ones; the rest was left out
    MALFORMED = 3  # unknown type, words missing, or no room for the answer
    NO_SESSION = 4  # no HELLO since the device was reset; nothing was done


class Description(enum.Enum, shape=3):
    """Words of the answer to HELLO and WHO, before its trailer."""

    MAGIC = 0
    HASH_LOW = 1  # machine_hash
    HASH_HIGH = 2
    CLOCK = 3  # of the machine, in Hz
    SESSION = 4  # 0: none


def machine_hash(config: MachineConfig) -> int:
    """Return 64 bits that tell one machine description from another; its name is no part of it."""
    values = {name: value for name, value in config.as_dict().items() if name != "name"}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:8], "little")
