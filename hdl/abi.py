# SPDX-License-Identifier: Apache-2.0
"""Numbers that hardware and software share, each declared once.

Gateware, the Python layer, the benches, the C header of the guests and the register map in the
documentation are all made from what stands here.
"""

from amaranth.lib import enum

__all__ = [
    "OWN_CLUSTER",
    "REGISTER_OFFSET",
    "REPORT_WORDS",
    "WINDOW_OFFSET",
    "Call",
    "ChannelKind",
    "ChannelRegister",
    "ClusterState",
    "CoreRegister",
    "Fault",
    "GuestRegister",
    "HypervisorRegister",
    "Result",
    "StatusKind",
    "VmState",
]


class ClusterState(enum.Enum, shape=3):
    """Lifecycle of a cluster, held in its SMMU. Other encodings mean the same as SCRUBBING."""

    SCRUBBING = 0  # also what power-on leaves: nothing is allowed
    FREE = 1
    LOADING = 2
    RUNNING = 3
    FROZEN = 4


class VmState(enum.Enum, shape=3):
    """Lifecycle of a VM slot, held in the monitor."""

    EMPTY = 0
    CREATED = 1  # owns clusters, all in LOADING, nothing accepted yet
    READY = 2  # image authenticated
    RUNNING = 3
    FROZEN = 4
    FAULTED = 5  # could not be scrubbed: keeps its clusters, and only VM_DESTROY is allowed


class Fault(enum.Enum, shape=4):
    """Why an SMMU denied something. The record of a cluster holds the first kind and a count."""

    NONE = 0
    OUTSIDE = 1  # egress: guest coordinates outside the VM's rectangle, or the own cluster's
    STATE = 2  # egress: the cluster is in no state in which a packet may leave
    FOREIGN = 3  # ingress: stamp is not this cluster's owner
    LATE = 4  # ingress: right stamp, but a state in which nothing is served
    CHANNEL = 5  # I/O window: guest channel without a physical one
    REFUSED = 6  # I/O window: the root's channel guard answered with an error
    UNROUTABLE = 7  # a router of this cluster swallowed a packet that has no legal way


class Call(enum.Enum, shape=4):
    """What the hypervisor can ask of the monitor (COMMAND register)."""

    NONE = 0
    VM_CREATE = 1  # vm, x, y, width, height
    VM_LOAD = 2  # vm, length of the image in bytes
    VM_START = 3  # vm
    VM_FREEZE = 4  # vm
    VM_RESUME = 5  # vm
    VM_SAVE = 6  # vm. The saved image comes out of SAVED
    VM_DESTROY = 7  # vm
    CHANNEL_GRANT = 8  # channel, vm, guest channel
    CHANNEL_REVOKE = 9  # channel
    STATUS = 10  # kind, index
    FAULT_CLEAR = 11  # cluster index


class Result(enum.Enum, shape=5):
    """How a call ended (RESULT register)."""

    NONE = 0  # no call has ended yet
    OK = 1
    BUSY = 2  # never in RESULT: a COMMAND write during a call gets a bus error
    UNKNOWN_CALL = 3
    BAD_VM = 4  # VM number not from 1 to the number of slots
    BAD_RECTANGLE = 5  # empty, off the mesh, or 16 x 16
    OCCUPIED = 6  # a cluster of the rectangle is not free
    WRONG_STATE = 7  # the VM or channel is not in a state that allows the call
    BAD_CHANNEL = 8  # no such physical channel
    BAD_GUEST_CHANNEL = 9  # no such guest channel number
    CHANNEL_TAKEN = 10  # the channel has an owner
    GUEST_CHANNEL_TAKEN = 11  # the VM uses this guest channel number already
    BAD_ARGUMENT = 12  # unknown kind or index of STATUS or FAULT_CLEAR
    IMAGE_HEADER = 13  # magic, version, flags or a reserved byte
    IMAGE_SIZE = 14  # rectangle, bytes per cluster or length do not fit
    IMAGE_KEY = 15  # the wrapped key was not made for this machine and this header
    IMAGE_TAG = 16  # header or contents are not what was packed
    ABORTED = 17  # the hypervisor gave up a load
    NOT_IMPLEMENTED = 18  # kept for calls to come
    CLUSTER_FAULT = 19  # a cluster did not answer as its state demands; the VM was scrubbed
    IMAGE_OLD = 20  # the machine has accepted a later version, or a later saved state, of this VM
    STORE_FULL = 21  # no row left in the store for the versions of another VM identity
    NO_NONCE = 22  # the key store has no epoch, or all save numbers of this power-on are used


class StatusKind(enum.Enum, shape=3):
    """First argument of STATUS; what VALUE0..VALUE3 then hold. Unlisted values read as 0."""

    NONE = 0
    CLUSTER = 1  # index: cluster. ClusterState, owner, fault count, first Fault
    VM = 2  # index: VM. VmState, x | y << 8 | width << 16 | height << 24
    CHANNEL = 3  # index: channel. owner, guest channel, ChannelKind, denied accesses
    LOAD = 4  # index: 0. Result of the last VM_LOAD


class HypervisorRegister(enum.Enum, shape=12):
    """Byte addresses on the hypervisor's port. Whole words only."""

    ID = 0x000  # r: 0x31564C42, "BLV1"
    MESH = 0x004  # r: width | height << 8 | cores << 16
    MEMORY = 0x008  # r: bytes of memory per cluster
    LIMITS = 0x00C  # r: VM slots | channels << 8 | TTY channels << 16 | guest channels << 24
    COMMAND = 0x010  # w: a Call; starts it with the arguments as they are now
    STATUS = 0x014  # r: bit 0 busy, bit 1 done (a call ended since the last write here), bit 2
    #                  loading (STAGING takes words), bit 3 saving (SAVED gives words).
    #                  w: any value clears done and the interrupt
    RESULT = 0x018  # r: a Result
    ABORT = 0x01C  # w: any value ends a running VM_LOAD or VM_SAVE with ABORTED, from its COMMAND
    ARG0 = 0x020  # rw
    ARG1 = 0x024
    ARG2 = 0x028
    ARG3 = 0x02C
    ARG4 = 0x030
    VALUE0 = 0x040  # r
    VALUE1 = 0x044
    VALUE2 = 0x048
    VALUE3 = 0x04C
    STAGING = 0x050  # w: next word of the image; bus error (and nothing taken) unless loading
    #                   and STAGING_SPACE is not 0
    STAGING_SPACE = 0x054  # r: words that STAGING takes now
    SAVED = 0x058  # r: takes the next word of the saved image; bus error while SAVED_WORDS is 0
    SAVED_WORDS = 0x05C  # r: words that SAVED gives now
    MAILBOX = 0x100  # + 0x20 * n for mailbox n (physical channel tty_channels + n):
    #                  ChannelRegister as the hypervisor sees it


class ChannelKind(enum.Enum, shape=2):
    """What is behind a physical channel."""

    TTY = 0
    MAILBOX = 1
    ATTEST = 2  # w: 8 words of the verifier's nonce; then r: REPORT_WORDS words of report


REPORT_WORDS = 36
"""Words of an attestation report (docs/image.md)."""


class ChannelRegister(enum.Enum, shape=4):
    """Byte offsets in a channel's page. Whole words only; each end sees its own directions."""

    STATUS = 0x0  # r: bit 0 a word can be read, bit 1 a word can be written,
    #               [15:8] ChannelKind (guest's end only)
    DATA = 0x4  # r: takes the next word (error when there is none); w: appends one (error when
    #             full). A TTY takes and gives bytes in [7:0]
    ENABLE = 0x8  # rw: bit 0 interrupt while a word can be read, bit 1 while one can be written.
    #               Guest's end only; the hypervisor's has none and answers with an error


OWN_CLUSTER = 0xFF
"""``address[31:24]`` that means "the cluster this core is in", wherever that is: code linked at
0xFF000000 runs in every cluster. A VM of 16 x 16 clusters is refused: one would have no name."""

REGISTER_OFFSET = 0x80_0000
"""Offset of a cluster's registers (GuestRegister, CoreRegister) in its 16 MiB."""

WINDOW_OFFSET = 0xC0_0000
"""Offset of a cluster's I/O window: guest channel ``n`` is the 64 KiB page ``n``. It answers the
cluster's own cores alone."""


class GuestRegister(enum.Enum, shape=12):
    """Byte offsets from REGISTER_OFFSET. Whole words only; all cores of the VM may use them."""

    COORDINATES = 0x000  # r: guest x | guest y << 8
    SIZE = 0x004  # r: VM width | VM height << 8, in clusters
    CORE = 0x008  # r: number of the reading core (0 for another cluster's) | cores << 8
    MEMORY = 0x00C  # r: bytes of memory per cluster
    FAULTS = 0x010  # r: accesses of this cluster's cores that the SMMU denied, saturating at 65535
    FAULT_ADDRESS = 0x014  # r: guest-physical address of the last of them. w: clears both
    TIME = 0x018  # r: cycles since launch, low word
    TIME_HIGH = 0x01C  # r: high word
    FLAGS = 0x020  # r: bit 0: the VM was restored from a saved image ("resumed")


class CoreRegister(enum.Enum, shape=12):
    """Byte offsets from REGISTER_OFFSET + 0x200 + 0x20 * core."""

    COMPARE = 0x00  # rw: timer interrupt while TIME (64 bits) >= COMPARE; all ones after launch
    COMPARE_HIGH = 0x04  # rw
    MAILBOX = 0x08  # w: stores the word, raises the software interrupt. r: takes it back down
    MAILBOX_FULL = 0x0C  # r: 1 while the mailbox holds a word nobody has read
    PENDING = 0x10  # r: bit n: guest channel n has an interrupt
    ENABLE = 0x14  # rw: bit n: PENDING bit n raises the external interrupt
