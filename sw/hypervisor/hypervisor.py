# SPDX-License-Identifier: Apache-2.0
"""The monitor's calls as methods, and handles of what a hypervisor holds."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

from blindvisor.hdl.abi import (
    Call,
    ChannelRegister,
    ClusterState,
    HypervisorRegister,
    Result,
    StatusKind,
    VmState,
)
from blindvisor.sw.hypervisor.errors import HypervisorError, NoRoom
from blindvisor.sw.hypervisor.monitor import MonitorPort, check, image_length
from blindvisor.sw.hypervisor.placement import first_fit
from blindvisor.sw.hypervisor.status import ChannelStatus, ClusterStatus, VmStatus

__all__ = ["MAILBOX_STRIDE", "Channel", "Hypervisor", "Vm"]

MAILBOX_STRIDE = 0x20
"""Bytes from one mailbox's registers to the next one's."""


class Hypervisor(MonitorPort):
    """Drives a machine through its security monitor.

    The layer is not trusted: whatever it does wrong, the machine refuses.

    Notes
    -----
    Every method that is a call raises the class that
    :data:`~blindvisor.sw.hypervisor.errors.ERRORS` has for its result code, and changes nothing
    then (a failed load destroys its VM). Construction waits until the machine has scrubbed itself.
    """

    # Life of a VM

    def vm_create(self, vm: int, *, x: int, y: int, width: int, height: int) -> "Vm":
        """Claim a rectangle of free clusters for slot ``vm``."""
        self.call(Call.VM_CREATE, vm, x, y, width, height)
        return Vm(self, vm)

    def create(self, *, width: int, height: int, at: tuple[int, int] | None = None) -> "Vm":
        """Create a VM in the first empty slot, at ``at`` or where it first fits.

        Raises
        ------
        :exc:`~blindvisor.sw.hypervisor.errors.NoRoom`
            If no slot is empty or no rectangle is free.
        """
        x, y = at if at is not None else self.place(width, height)
        slots = range(1, self.link.config.vms + 1)
        vm = next((n for n in slots if self.vm_status(n).state is VmState.EMPTY), None)
        if vm is None:
            raise NoRoom(f"no empty VM slot: all {len(slots)} are in use")
        return self.vm_create(vm, x=x, y=y, width=width, height=height)

    def vm_load(
        self,
        vm: int,
        image: bytes | BinaryIO,
        *,
        length: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Load an encrypted image into a created VM; on any failure the VM is gone.

        Parameters
        ----------
        image : :class:`bytes` or binary file
            The image, read in pieces and once.
        length : :class:`int` or None
            Its length in bytes; None: what there is.
        progress : callable or None
            Called with the number of bytes that the machine has taken.

        Raises
        ------
        :exc:`~blindvisor.sw.hypervisor.errors.ImageTruncated`
            If the image ends before ``length``; the load is aborted.
        """
        if length is None:
            length = image_length(image)
        result = self.load(vm, image, length=length, progress=progress)
        check(result, Call.VM_LOAD, (vm, length))

    def vm_start(self, vm: int) -> None:
        """Start all cores of a loaded VM in the same cycle."""
        self.call(Call.VM_START, vm)

    def vm_freeze(self, vm: int) -> None:
        """Stop a running VM, keeping its state."""
        self.call(Call.VM_FREEZE, vm)

    def vm_resume(self, vm: int) -> None:
        """Continue a frozen VM."""
        self.call(Call.VM_RESUME, vm)

    def vm_save(self, vm: int, *, progress: Callable[[int], None] | None = None) -> bytes:
        """Return a frozen VM as an encrypted image, which this machine can load again.

        The VM stays as it is. Every earlier saved image of its identity is refused from now on, so
        keep this one before anything else.

        Parameters
        ----------
        progress : callable or None
            Called with the number of bytes that the machine has given.
        """
        result, image = self.save(vm, progress=progress)
        check(result, Call.VM_SAVE, (vm,))
        return image

    def vm_destroy(self, vm: int) -> None:
        """Scrub a VM and free its clusters and channels."""
        self.call(Call.VM_DESTROY, vm)

    # Channels

    def channel_grant(self, channel: int, vm: int, guest_channel: int) -> "Channel":
        """Clear a channel without owner and give it to a VM under a guest channel number."""
        self.call(Call.CHANNEL_GRANT, channel, vm, guest_channel)
        return Channel(self, channel, vm, guest_channel)

    def channel_revoke(self, channel: int) -> None:
        """Take a channel from its owner and clear it."""
        self.call(Call.CHANNEL_REVOKE, channel)

    def mailbox_receive(self, channel: int) -> int | None:
        """Return the next word that the guest sent to a mailbox channel, or None."""
        if not self.link.read(self._mailbox(channel, ChannelRegister.STATUS)) & 1:
            return None
        return self.link.read(self._mailbox(channel, ChannelRegister.DATA))

    def mailbox_send(self, channel: int, word: int) -> bool:
        """Send a word to a mailbox channel; return False if there is no room for it now."""
        if not self.link.read(self._mailbox(channel, ChannelRegister.STATUS)) & 2:
            return False
        self.link.write(self._mailbox(channel, ChannelRegister.DATA), word)
        return True

    # What the hypervisor may know

    def status(self, kind: StatusKind, index: int) -> tuple[int, int, int, int]:
        """Return the four values of a STATUS call."""
        self.call(Call.STATUS, kind.value, index)
        return self.values()

    def cluster_status(self, index: int) -> ClusterStatus:
        """Return what the hypervisor may know of a cluster."""
        return ClusterStatus.from_values(index, self.status(StatusKind.CLUSTER, index))

    def vm_status(self, vm: int) -> VmStatus:
        """Return state and rectangle of a VM slot."""
        return VmStatus.from_values(vm, self.status(StatusKind.VM, vm))

    def channel_status(self, channel: int) -> ChannelStatus:
        """Return owner, guest number, kind and denied accesses of a channel."""
        return ChannelStatus.from_values(channel, self.status(StatusKind.CHANNEL, channel))

    def load_status(self) -> Result:
        """Return the result of the last VM_LOAD."""
        return Result(self.status(StatusKind.LOAD, 0)[0])

    def fault_clear(self, cluster: int) -> None:
        """Clear the fault record of a cluster."""
        self.call(Call.FAULT_CLEAR, cluster)

    def place(self, width: int, height: int) -> tuple[int, int]:
        """Return the first place for a rectangle, see :func:`placement.first_fit`."""
        config = self.link.config
        free = {
            (index % config.width, index // config.width)
            for index in range(config.clusters)
            if self.cluster_status(index).state is ClusterState.FREE
        }
        return first_fit(config, free, width=width, height=height)

    def _mailbox(self, channel: int, register: ChannelRegister) -> int:
        config = self.link.config
        end = config.tty_channels + config.mailbox_channels
        if not config.tty_channels <= channel < end:
            raise HypervisorError(
                f"a mailbox channel must be from {config.tty_channels} to {end - 1}, not {channel}"
            )
        mailbox = channel - config.tty_channels
        return HypervisorRegister.MAILBOX.value + MAILBOX_STRIDE * mailbox + register.value


@dataclass(frozen=True)
class Vm:
    """A VM by its number. Every method is the monitor call of that name."""

    hypervisor: Hypervisor
    number: int

    def load(
        self,
        image: bytes | BinaryIO,
        *,
        length: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """See :meth:`Hypervisor.vm_load`."""
        self.hypervisor.vm_load(self.number, image, length=length, progress=progress)

    def start(self) -> None:
        """READY -> RUNNING."""
        self.hypervisor.vm_start(self.number)

    def freeze(self) -> None:
        """RUNNING -> FROZEN."""
        self.hypervisor.vm_freeze(self.number)

    def resume(self) -> None:
        """FROZEN -> RUNNING."""
        self.hypervisor.vm_resume(self.number)

    def save(self, *, progress: Callable[[int], None] | None = None) -> bytes:
        """FROZEN: encrypted image out. See :meth:`Hypervisor.vm_save`."""
        return self.hypervisor.vm_save(self.number, progress=progress)

    def destroy(self) -> None:
        """Scrub and free all its clusters; its channels lose their owner."""
        self.hypervisor.vm_destroy(self.number)

    def status(self) -> VmStatus:
        """Its state and rectangle."""
        return self.hypervisor.vm_status(self.number)

    def grant(self, channel: int, guest_channel: int) -> "Channel":
        """Give it a physical channel under a guest channel number."""
        return self.hypervisor.channel_grant(channel, self.number, guest_channel)


@dataclass(frozen=True)
class Channel:
    """The hypervisor's end of a granted channel; leaving its ``with`` block revokes it.

    A channel that has lost its owner by then (its VM was destroyed), or has another grant, is
    left alone.
    """

    hypervisor: Hypervisor
    number: int
    vm: int
    guest_channel: int

    def __enter__(self) -> Self:
        """Nothing to do: the grant is made."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Revoke the channel, if it is still this grant."""
        status = self.status()
        if (status.owner, status.guest_channel) == (self.vm, self.guest_channel):
            self.revoke()

    def revoke(self) -> None:
        """Take it away from its VM; its buffers are cleared."""
        self.hypervisor.channel_revoke(self.number)

    def status(self) -> ChannelStatus:
        """Owner, kind and denied accesses."""
        return self.hypervisor.channel_status(self.number)

    def read(self) -> bytes:
        """TTY: what the guest has sent since the last call, without waiting."""
        return self.hypervisor.link.tty_read(self.number)

    def write(self, data: bytes) -> None:
        """TTY: send bytes to the guest."""
        self.hypervisor.link.tty_write(self.number, data)

    def receive(self) -> int | None:
        """Mailbox: the guest's next word, or None."""
        return self.hypervisor.mailbox_receive(self.number)

    def send(self, word: int) -> bool:
        """Mailbox: send a word; False if there is no room for it now."""
        return self.hypervisor.mailbox_send(self.number, word)
