# SPDX-License-Identifier: Apache-2.0
"""Answers of the STATUS call, typed."""

from dataclasses import dataclass
from typing import Self

from blindvisor.hdl.abi import ChannelKind, ClusterState, Fault, VmState

__all__ = ["ChannelStatus", "ClusterStatus", "VmStatus"]

Values = tuple[int, int, int, int]
"""VALUE0..VALUE3."""


@dataclass(frozen=True, kw_only=True)
class ClusterStatus:
    """A cluster as the hypervisor may see it (P9: no guest address, no guest data).

    Parameters
    ----------
    index : :class:`int`
        ``y * mesh width + x``.
    state : :class:`~blindvisor.hdl.abi.ClusterState`
        Lifecycle.
    owner : :class:`int`
        VM number, 0 for nobody.
    faults : :class:`int`
        Denied accesses since the last FAULT_CLEAR, saturating at 65535.
    first_fault : :class:`~blindvisor.hdl.abi.Fault`
        Kind of the first of them.
    """

    index: int
    state: ClusterState
    owner: int
    faults: int
    first_fault: Fault

    @classmethod
    def from_values(cls, index: int, values: Values) -> Self:
        """Decode VALUE0..VALUE3."""
        return cls(
            index=index,
            state=ClusterState(values[0]),
            owner=values[1],
            faults=values[2],
            first_fault=Fault(values[3]),
        )


@dataclass(frozen=True, kw_only=True)
class VmStatus:
    """A VM slot: its state and, unless it is EMPTY, its rectangle in clusters."""

    vm: int
    state: VmState
    x: int
    y: int
    width: int
    height: int

    @classmethod
    def from_values(cls, vm: int, values: Values) -> Self:
        """Decode VALUE0..VALUE3."""
        place = values[1]
        return cls(
            vm=vm,
            state=VmState(values[0]),
            x=place & 0xFF,
            y=place >> 8 & 0xFF,
            width=place >> 16 & 0xFF,
            height=place >> 24,
        )


@dataclass(frozen=True, kw_only=True)
class ChannelStatus:
    """A physical channel: owner (0 for nobody), the number it has in the owner's I/O window,
    what is behind it, and how many accesses its guard denied."""

    channel: int
    owner: int
    guest_channel: int
    kind: ChannelKind
    denied: int

    @classmethod
    def from_values(cls, channel: int, values: Values) -> Self:
        """Decode VALUE0..VALUE3."""
        return cls(
            channel=channel,
            owner=values[0],
            guest_channel=values[1],
            kind=ChannelKind(values[2]),
            denied=values[3],
        )
