# SPDX-License-Identifier: Apache-2.0
"""One exception class for each way in which a call can fail."""

from typing import ClassVar

from blindvisor.hdl.abi import Result

__all__ = [
    "ERRORS",
    "Aborted",
    "BadArgument",
    "BadChannel",
    "BadGuestChannel",
    "BadRectangle",
    "BadVm",
    "CallError",
    "ChannelTaken",
    "ClusterFault",
    "GuestChannelTaken",
    "HypervisorError",
    "ImageHeaderRefused",
    "ImageKeyRefused",
    "ImageOldRefused",
    "ImageSizeRefused",
    "ImageTagRefused",
    "ImageTruncated",
    "MonitorBusy",
    "NoNonce",
    "NoRoom",
    "NotImplementedByMachine",
    "Occupied",
    "StoreFull",
    "UnknownCall",
    "WrongState",
]


class HypervisorError(Exception):
    """Anything that the hypervisor's layer reports."""


class NoRoom(HypervisorError):
    """No free rectangle of the size that was asked for."""


class ImageTruncated(HypervisorError):
    """The source of an image ended before its length; the load was aborted."""


class CallError(HypervisorError):
    """The monitor refused a call, or ended it with a failure.

    Parameters
    ----------
    call : :class:`str`
        The call with its arguments, as a sentence can hold it.

    Members
    -------
    result : :class:`~blindvisor.hdl.abi.Result`
        The code in the machine's RESULT register.
    reason : :class:`str`
        What the code means.
    """

    result: ClassVar[Result]
    reason: ClassVar[str]

    def __init__(self, call: str) -> None:
        super().__init__(f"{call} failed with {self.result.name}: {self.reason}")
        self.call = call


class MonitorBusy(CallError):
    """A command was given while a call runs."""

    result = Result.BUSY
    reason = "another call is still running"


class UnknownCall(CallError):
    """No such call."""

    result = Result.UNKNOWN_CALL
    reason = "the machine has no such call"


class BadVm(CallError):
    """No such VM slot."""

    result = Result.BAD_VM
    reason = "VM numbers must be from 1 to the number of slots of the machine"


class BadRectangle(CallError):
    """A rectangle that the mesh does not have."""

    result = Result.BAD_RECTANGLE
    reason = "the rectangle must not be empty, must lie on the mesh and must not be 16 x 16"


class Occupied(CallError):
    """A cluster of the rectangle is in use."""

    result = Result.OCCUPIED
    reason = "a cluster of the rectangle is not free"


class WrongState(CallError):
    """The VM or channel is in a state that does not allow the call."""

    result = Result.WRONG_STATE
    reason = "the VM or channel is not in a state that allows this call"


class BadChannel(CallError):
    """No such physical channel."""

    result = Result.BAD_CHANNEL
    reason = "the machine has no such channel"


class BadGuestChannel(CallError):
    """No such guest channel number."""

    result = Result.BAD_GUEST_CHANNEL
    reason = "the machine has no such guest channel number"


class ChannelTaken(CallError):
    """The channel has an owner already."""

    result = Result.CHANNEL_TAKEN
    reason = "the channel has an owner; revoke it first"


class GuestChannelTaken(CallError):
    """The VM uses the guest channel number already."""

    result = Result.GUEST_CHANNEL_TAKEN
    reason = "the VM uses this guest channel number for another channel"


class BadArgument(CallError):
    """STATUS or FAULT_CLEAR of something that is not there."""

    result = Result.BAD_ARGUMENT
    reason = "the machine has no such kind or index"


class ImageHeaderRefused(CallError):
    """The loader does not know such an image."""

    result = Result.IMAGE_HEADER
    reason = "magic, version, flags or a reserved byte of the image's header is wrong"


class ImageSizeRefused(CallError):
    """The image does not fit the VM."""

    result = Result.IMAGE_SIZE
    reason = "the image's width, height, bytes per cluster or length does not fit the VM"


class ImageKeyRefused(CallError):
    """The key in the image cannot be unwrapped here."""

    result = Result.IMAGE_KEY
    reason = "the image's key was not wrapped for this machine and this header"


class ImageTagRefused(CallError):
    """The image is not what was packed."""

    result = Result.IMAGE_TAG
    reason = "the image's header or contents are not what was packed"


class Aborted(CallError):
    """The load or save was given up."""

    result = Result.ABORTED
    reason = "the load or save was aborted"


class NotImplementedByMachine(CallError):
    """The machine knows the call but cannot do it."""

    result = Result.NOT_IMPLEMENTED
    reason = "this machine does not implement the call"


class ClusterFault(CallError):
    """A cluster did not do as its state demands."""

    result = Result.CLUSTER_FAULT
    reason = (
        "a cluster did not answer as its state demands; unless this was a save, the VM was scrubbed"
    )


class ImageOldRefused(CallError):
    """A rollback."""

    result = Result.IMAGE_OLD
    reason = "the machine has accepted a later version, or a later saved state, of this VM"


class StoreFull(CallError):
    """The machine cannot remember the versions of another VM."""

    result = Result.STORE_FULL
    reason = "the machine's store has no row left for this VM identity, or its saves are used up"


class NoNonce(CallError):
    """There is no save number."""

    result = Result.NO_NONCE
    reason = "the machine's key store has no epoch, or all save numbers of this power-on are used"


ERRORS: dict[Result, type[CallError]] = {cls.result: cls for cls in CallError.__subclasses__()}
"""Exception class of each result code but NONE and OK."""
