# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""The monitor's proofs assume no more of the lane than every machine keeps."""

import pytest

from blindvisor.hdl.config import CONFIGURATIONS, MachineConfig
from blindvisor.verification.formal import monitor_environment
from blindvisor.verification.formal.monitor_environment import on_their_way
from blindvisor.verification.formal.monitor_lane_spec import MonitorOwnersSpec


def test_no_machine_has_as_many_replies_on_their_way_as_are_assumed() -> None:
    largest = MachineConfig(name="largest", width=16, height=16)
    assert [on_their_way(config) for config in CONFIGURATIONS.values()] == [4, 3, 3, 3]
    assert on_their_way(largest) == 6 < monitor_environment._MOST


def test_a_machine_that_would_have_more_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor_environment, "_MOST", 4)
    with pytest.raises(ValueError, match="fewer than 4 replies"):
        MonitorOwnersSpec(CONFIGURATIONS["reference"])
    MonitorOwnersSpec(CONFIGURATIONS["small"])
