# SPDX-License-Identifier: Apache-2.0
"""Attestation reports: layout, MAC, and what a verifier finds."""

import hashlib
from dataclasses import replace

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import CMAC
from hypothesis import given
from hypothesis import strategies as st

from blindvisor.sw.image.format import Flags
from blindvisor.sw.image.report import REPORT_BYTES, Report, ReportError, read_report

KEY = bytes(range(32))
REPORT = Report(
    flags=Flags.SAVED | Flags.MIGRATE,
    width=2,
    height=3,
    bytes_per_cluster=0x4000,
    security_version=5,
    generation=6,
    identity=b"i" * 16,
    machine=b"m" * 16,
    measurement=b"h" * 32,
    nonce=b"n" * 32,
)
SIGNED = REPORT.signed(KEY)


def test_fields_are_where_the_format_says():
    head = "4256 5245 504f 5254 0100 0300 02 03 0000 00400000 05000000 06000000 00000000"
    body = bytes.fromhex(head) + b"i" * 16 + b"m" * 16 + b"h" * 32 + b"n" * 32
    mac = CMAC.new(KEY, hashlib.sha256(body).digest(), ciphermod=AES).digest()
    assert body + mac == SIGNED
    assert len(SIGNED) == REPORT_BYTES == 144


def test_a_report_comes_back():
    assert read_report(SIGNED, key=KEY) == REPORT
    assert read_report(SIGNED, key=KEY, nonce=b"n" * 32, width=2, machine=None) == REPORT
    assert REPORT.as_dict()["flags"] == ["SAVED", "MIGRATE"]
    assert REPORT.as_dict()["identity"] == "69" * 16


@given(bit=st.integers(0, 8 * REPORT_BYTES - 1))
def test_no_bit_can_be_changed(bit):
    changed = bytearray(SIGNED)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ReportError) as caught:
        read_report(bytes(changed), key=KEY)
    fields = {range(8): "magic", range(8, 10): "version", range(14, 16): "reserved"}
    fields[range(28, 32)] = "reserved"
    assert caught.value.field == next(
        (name for place, name in fields.items() if bit // 8 in place), "mac"
    )


def test_another_key_s_report_is_refused():
    with pytest.raises(ReportError, match="was not made by the machine with this report key"):
        read_report(SIGNED, key=KEY[::-1])


@pytest.mark.parametrize("length", [0, 143, 145])
def test_no_other_length_is_a_report(length):
    with pytest.raises(ReportError, match=f"must have 144 bytes, not {length}"):
        read_report(SIGNED.ljust(length, b"\0")[:length], key=KEY)


@pytest.mark.parametrize("name", Report.__dataclass_fields__)
def test_the_field_that_differs_is_named(name):
    value = getattr(REPORT, name)
    other = bytes(len(value)) if isinstance(value, bytes) else value + 1
    with pytest.raises(ReportError) as caught:
        read_report(SIGNED, key=KEY, **{name: other})
    assert caught.value.field == name
    assert name.replace("_", " ") in str(caught.value)


def test_fields_of_other_lengths_are_not_signed():
    with pytest.raises(ValueError, match="nonce must have 32 bytes, not 5"):
        replace(REPORT, nonce=b"short").signed(KEY)
