# SPDX-License-Identifier: Apache-2.0
"""Attestation reports: what a machine says of a VM, and what a verifier makes of it.

The layout is that of docs/image.md, "Measurement and report"; all numbers are little-endian.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass, fields
from typing import Any, Self

from blindvisor.hdl.abi import REPORT_WORDS
from blindvisor.sw.image.format import (
    IDENTITY_BYTES,
    MEASUREMENT_BYTES,
    TAG_BYTES,
    Flags,
)
from blindvisor.sw.image.keys import MACHINE_BYTES, cmac

__all__ = [
    "REPORT_BYTES",
    "REPORT_MAGIC",
    "REPORT_NONCE_BYTES",
    "REPORT_VERSION",
    "Report",
    "ReportError",
    "read_report",
]

REPORT_MAGIC = b"BVREPORT"
REPORT_VERSION = 1
REPORT_NONCE_BYTES = 32
REPORT_BYTES = 4 * REPORT_WORDS

_LAYOUT = struct.Struct("<8s HH BBH III 4s 16s 16s 32s 32s")
_LENGTHS = {
    "identity": IDENTITY_BYTES,
    "machine": MACHINE_BYTES,
    "measurement": MEASUREMENT_BYTES,
    "nonce": REPORT_NONCE_BYTES,
}


class ReportError(ValueError):
    """A report that a verifier must not believe.

    Parameters
    ----------
    field : :class:`str`
        What is wrong: a field's name, ``length``, ``magic``, ``version``, ``reserved`` or ``mac``.
    message : :class:`str`
        What must be what, and what is there.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is signed.

    Parameters
    ----------
    flags : :class:`~blindvisor.sw.image.format.Flags`
        Of the image that the VM was loaded from.
    width, height : :class:`int`
        Size of the VM in clusters.
    bytes_per_cluster, security_version, generation : :class:`int`
        Of the image.
    identity, machine : :class:`bytes`
        16 bytes each: name of the VM, name of the machine.
    measurement : :class:`bytes`
        32 bytes: SHA-256 of the contents at the first launch.
    nonce : :class:`bytes`
        32 bytes: the verifier's.
    """

    flags: Flags
    width: int
    height: int
    bytes_per_cluster: int
    security_version: int
    generation: int
    identity: bytes
    machine: bytes
    measurement: bytes
    nonce: bytes

    def signed(self, key: bytes) -> bytes:
        """Return the 144 bytes, with a MAC under the report key."""
        for name, length in _LENGTHS.items():
            if len(value := getattr(self, name)) != length:
                raise ValueError(f"{name} must have {length} bytes, not {len(value)}")
        body = _LAYOUT.pack(
            REPORT_MAGIC,
            REPORT_VERSION,
            self.flags,
            self.width,
            self.height,
            0,
            self.bytes_per_cluster,
            self.security_version,
            self.generation,
            bytes(4),
            self.identity,
            self.machine,
            self.measurement,
            self.nonce,
        )
        return body + _mac(key, body)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a report; nothing is believed yet but that it is one.

        Raises
        ------
        :exc:`ReportError`
            If length, magic, version or a reserved byte is wrong.
        """
        if len(data) != REPORT_BYTES:
            raise ReportError("length", f"a report must have {REPORT_BYTES} bytes, not {len(data)}")
        magic, version, flags, width, height, reserved, *numbers, reserved_2, i, m, h, n = (
            _LAYOUT.unpack_from(data)
        )
        if magic != REPORT_MAGIC:
            raise ReportError("magic", f"magic must be {REPORT_MAGIC!r}, not {magic!r}")
        if version != REPORT_VERSION:
            raise ReportError("version", f"format version must be {REPORT_VERSION}, not {version}")
        if reserved or any(reserved_2):
            raise ReportError("reserved", "reserved bytes of a report must be 0")
        return cls(
            flags=Flags(flags),
            width=width,
            height=height,
            bytes_per_cluster=numbers[0],
            security_version=numbers[1],
            generation=numbers[2],
            identity=i,
            machine=m,
            measurement=h,
            nonce=n,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can hold them: bytes in hexadecimal, flags by name."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        values["flags"] = [flag.name for flag in Flags if flag in self.flags]
        return {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in values.items()
        }

    def expect(self, **expected: int | bytes | None) -> None:
        """Compare fields with what the verifier expects; None: whatever it is.

        Raises
        ------
        :exc:`ReportError`
            For the first that differs.
        """
        for name, value in expected.items():
            found = getattr(self, name)
            if value is not None and value != found:
                wanted, given = (
                    item.hex() if isinstance(item, bytes) else str(item) for item in (value, found)
                )
                words = name.replace("_", " ")
                raise ReportError(name, f"{words} must be {wanted}, but the report says {given}")


def read_report(data: bytes, *, key: bytes, **expected: int | bytes | None) -> Report:
    """Return a report that can be believed.

    Parameters
    ----------
    data : :class:`bytes`
        The 144 bytes.
    key : :class:`bytes`
        The machine's report key.
    expected
        See :meth:`Report.expect`. A report without an expected ``nonce`` may be an old one.

    Raises
    ------
    :exc:`ReportError`
        If it is none, was not made under this key, or says something else than expected.
    """
    report = Report.from_bytes(data)
    body = data[:-TAG_BYTES]
    if not hmac.compare_digest(_mac(key, body), data[-TAG_BYTES:]):
        raise ReportError(
            "mac", "the report was changed, or was not made by the machine with this report key"
        )
    report.expect(**expected)
    return report


def _mac(key: bytes, body: bytes) -> bytes:
    return cmac(key, hashlib.sha256(body).digest())
