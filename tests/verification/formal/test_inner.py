# SPDX-License-Identifier: Apache-2.0
"""Specifications that look inside do so without touching others."""

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
from amaranth import Signal

from blindvisor.verification.formal.inner import replaced, states


def test_a_part_is_replaced_in_one_thread_and_for_a_while() -> None:
    module = ModuleType("module")
    module.__dict__["part"] = lambda: "shipped"
    with ThreadPoolExecutor(1) as other, replaced((module, "part", lambda: "ours")):
        assert module.part() == "ours"
        assert other.submit(lambda: module.part()).result() == "shipped"
    assert module.part() == "shipped"


def test_a_register_without_named_states_is_refused() -> None:
    with pytest.raises(ValueError, match="must have named states"):
        states(Signal(3))
