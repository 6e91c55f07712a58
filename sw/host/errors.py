# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between the hypervisor and a board."""

from blindvisor.sw.hypervisor.errors import HypervisorError

__all__ = [
    "DeviceReset",
    "HostLinkError",
    "LinkMisuse",
    "NoAnswer",
    "PortLost",
    "SessionTaken",
    "WrongDevice",
]


class HostLinkError(HypervisorError):
    """The link to the board failed; nothing is wrong with the call itself."""


class PortLost(HostLinkError):
    """The port could not be opened, or went away (unplugged) and did not come back in time."""


class NoAnswer(HostLinkError):
    """The port is there, but the board does not answer: whether it did what was asked is open."""


class WrongDevice(HostLinkError):
    """Something else is on the port, or another machine than the one that was expected."""


class DeviceReset(HostLinkError):
    """The board was reset since the link was opened: all its VMs are gone."""


class SessionTaken(HostLinkError):
    """Another host has opened the link since: what it did to the machine is not known here."""


class LinkMisuse(HostLinkError):
    """The board did not understand a frame: host and gateware do not fit each other."""
