# SPDX-License-Identifier: Apache-2.0
"""Committed copies of what is rendered from the shared numbers."""

import re

import pytest

from blindvisor.hdl import abi
from blindvisor.sw import cheader, registers


@pytest.mark.parametrize("module", [cheader, registers])
def test_committed_copy_is_what_would_be_rendered_now(module):
    assert module.PATH.read_text() == module.render(), f"run python -m {module.__name__}"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("BV_OWN_CLUSTER", 0xFF00_0000),
        ("BV_COORDINATES", 0xFF80_0000),
        ("BV_TIME_HIGH_OFFSET", 0x80_001C),
    ],
)
def test_header_defines_addresses(name, address):
    found = re.search(rf"^#define {name} BV_UINT32\((\w+)\)$", cheader.render(), re.M)
    assert found is not None
    assert int(found[1], 16) == address


@pytest.mark.parametrize(
    "kind", [abi.HypervisorRegister, abi.Call, abi.Result, abi.GuestRegister, abi.CoreRegister]
)
def test_every_number_is_on_the_page(kind):
    page = registers.render()
    assert all(f"| {member.name} |" in page for member in kind)
