# SPDX-License-Identifier: Apache-2.0
"""Encrypts the memories of a VM into an image for one device, and back."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from Crypto.Cipher import AES

from blindvisor.sw.image.format import (
    ALIGNMENT,
    HEADER_BYTES,
    IDENTITY_BYTES,
    KEY_BYTES,
    NONCE_BYTES,
    TAG_BYTES,
    WRAP_AAD_BYTES,
    Flags,
    Header,
    ImageMigrationError,
    ImageSizeError,
    ImageTagError,
    check_total,
)
from blindvisor.sw.image.keys import save_key, unwrap_key, wrap_key

__all__ = ["Secrets", "Unpacked", "contents_key", "pack", "rewrap", "seal", "unpack"]


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What must be fresh in every image.

    Giving it to :func:`pack` makes images reproducible, and insecure if a nonce is ever used
    with the same key for other contents: for tests alone. There is no such option on the command
    line.
    """

    vm_key: bytes
    wrap_nonce: bytes
    nonce: bytes

    @classmethod
    def fresh(cls) -> "Secrets":
        """From the operating system's random source."""
        return cls(
            vm_key=secrets.token_bytes(KEY_BYTES),
            wrap_nonce=secrets.token_bytes(NONCE_BYTES),
            nonce=secrets.token_bytes(NONCE_BYTES),
        )


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A decrypted image: its header, and the memory of cluster (gx, gy) at ``gy * width + gx``."""

    header: Header
    memories: tuple[bytes, ...]

    @property
    def measurement(self) -> bytes:
        """What a report of the machine will say: SHA-256 of the contents at the first launch."""
        if self.header.saved:
            return self.header.measurement
        return hashlib.sha256(b"".join(self.memories)).digest()


def pack(
    memories: Sequence[bytes],
    *,
    width: int,
    height: int,
    root_key: bytes,
    identity: bytes | None = None,
    security_version: int = 0,
    migrate: bool = False,
    test_secrets: Secrets | None = None,
) -> bytes:
    """Return an encrypted image.

    Parameters
    ----------
    memories : sequence of :class:`bytes`
        What each cluster's memory starts with, row by row; shorter ones are filled with zeros up
        to the longest, rounded up to a multiple of 16 bytes.
    width, height : :class:`int`
        Rectangle of the VM in clusters.
    root_key : :class:`bytes`
        Root key of the device that shall run it, 32 bytes.
    identity : :class:`bytes` or None
        16 bytes that name the VM; None: random.
    security_version : :class:`int`
        32 bits. A machine that has accepted a higher one of this identity refuses the image.
    migrate : :class:`bool`
        Whether saved states of this VM may be packed for another device (:func:`rewrap`).
    test_secrets : :class:`Secrets` or None
        None: fresh ones.

    Raises
    ------
    :exc:`~blindvisor.sw.image.format.ImageError`
        If sizes or lengths are none that an image can have.
    """
    if len(memories) != width * height:
        raise ImageSizeError(
            f"a VM of {width} x {height} clusters must have {width * height} memories,"
            f" not {len(memories)}"
        )
    chosen = test_secrets if test_secrets is not None else Secrets.fresh()
    longest = max(map(len, memories), default=0)
    header = Header(
        flags=Flags.MIGRATE if migrate else Flags(0),
        width=width,
        height=height,
        bytes_per_cluster=longest + -longest % ALIGNMENT,
        security_version=security_version,
        identity=secrets.token_bytes(IDENTITY_BYTES) if identity is None else identity,
        wrap_nonce=chosen.wrap_nonce,
        wrapped_key=bytes(KEY_BYTES),
        wrap_tag=bytes(TAG_BYTES),
        nonce=chosen.nonce,
    )
    return _wrap(header, memories, root_key=root_key, vm_key=chosen.vm_key)


def seal(
    memories: Sequence[bytes],
    *,
    width: int,
    height: int,
    root_key: bytes,
    number: bytes,
    flags: Flags,
    identity: bytes,
    security_version: int,
    generation: int,
    measurement: bytes,
) -> bytes:
    """Return what a machine makes of a frozen VM: a saved image under a derived key.

    On a host it is for tests and models: which save numbers are used, the machine alone knows.

    Parameters
    ----------
    memories : sequence of :class:`bytes`
        All of each cluster's memory, row by row.
    number : :class:`bytes`
        The save number, 12 bytes (:func:`~blindvisor.sw.image.keys.save_number`).
    flags : :class:`~blindvisor.sw.image.format.Flags`
        Of the image that the VM was loaded from; MIGRATE stays.
    identity, security_version, generation, measurement
        As the header has them.
    """
    header = Header(
        flags=Flags.SAVED | flags & Flags.MIGRATE,
        width=width,
        height=height,
        bytes_per_cluster=len(memories[0]),
        security_version=security_version,
        generation=generation,
        identity=identity,
        wrap_nonce=bytes(NONCE_BYTES),
        wrapped_key=bytes(KEY_BYTES),
        wrap_tag=bytes(TAG_BYTES),
        nonce=number,
        measurement=measurement,
    )
    return _encrypt(header, memories, key=save_key(root_key, number))


def _wrap(header: Header, memories: Sequence[bytes], *, root_key: bytes, vm_key: bytes) -> bytes:
    """Wrap the key, then encrypt under it."""
    wrapped_key, wrap_tag = wrap_key(
        vm_key,
        root_key=root_key,
        nonce=header.wrap_nonce,
        aad=header.to_bytes()[:WRAP_AAD_BYTES],
    )
    complete = replace(header, wrapped_key=wrapped_key, wrap_tag=wrap_tag)
    return _encrypt(complete, memories, key=vm_key)


def _encrypt(header: Header, memories: Sequence[bytes], *, key: bytes) -> bytes:
    head = header.to_bytes()
    cipher = AES.new(key, AES.MODE_GCM, nonce=header.nonce)
    cipher.update(head)
    body = b"".join(memory.ljust(header.bytes_per_cluster, b"\0") for memory in memories)
    ciphertext, tag = cipher.encrypt_and_digest(body)
    return head + ciphertext + tag


def contents_key(header: Header, *, root_key: bytes) -> bytes:
    """Return the key of the contents: unwrapped, or derived if it is a saved image's.

    Raises
    ------
    :exc:`~blindvisor.sw.image.format.ImageKeyError`
        If it cannot be unwrapped. A derived key fits always; only the tag tells whether to.
    """
    if header.sealed:
        return save_key(root_key, header.nonce)
    return unwrap_key(
        header.wrapped_key,
        header.wrap_tag,
        root_key=root_key,
        nonce=header.wrap_nonce,
        aad=header.to_bytes()[:WRAP_AAD_BYTES],
    )


def unpack(image: bytes, *, root_key: bytes) -> Unpacked:
    """Check and decrypt an image, in the order in which the machine's loader does.

    Raises
    ------
    :exc:`~blindvisor.sw.image.format.ImageError`
        Its subclass for the first check that fails.
    """
    check_total(len(image))
    header = Header.from_bytes(image)
    header.check_geometry()
    header.check_length(len(image))
    key = contents_key(header, root_key=root_key)
    cipher = AES.new(key, AES.MODE_GCM, nonce=header.nonce)
    cipher.update(image[:HEADER_BYTES])
    try:
        body = cipher.decrypt_and_verify(image[HEADER_BYTES:-TAG_BYTES], image[-TAG_BYTES:])
    except ValueError:
        made = "saved by this device" if header.sealed else "packed"
        raise ImageTagError(f"the image's header or contents are not what was {made}") from None
    size = header.bytes_per_cluster
    return Unpacked(
        header=header,
        memories=tuple(body[n : n + size] for n in range(0, len(body), size)),
    )


def rewrap(
    image: bytes,
    *,
    root_key: bytes,
    new_root_key: bytes,
    test_secrets: Secrets | None = None,
) -> bytes:
    """Return the image for another device: same VM, same contents, same versions.

    The VM key is fresh too. With the old one, two devices' owners would hold images under one key,
    and since the header is authenticated with the contents, these would need a new tag: under the
    old nonce that would give the authentication key away.

    Parameters
    ----------
    image : :class:`bytes`
        Image for the device with ``root_key``. A saved one is MIGRATED afterwards.
    root_key, new_root_key : :class:`bytes`
        Root keys of the device that it is for and of the one that it shall be for.
    test_secrets : :class:`Secrets` or None
        None: fresh ones.

    Raises
    ------
    :exc:`~blindvisor.sw.image.format.ImageMigrationError`
        If it is a saved image without MIGRATE.
    :exc:`~blindvisor.sw.image.format.ImageError`
        If the first device would not accept the image.
    """
    unpacked = unpack(image, root_key=root_key)
    header = unpacked.header
    if header.saved and Flags.MIGRATE not in header.flags:
        raise ImageMigrationError(
            "a saved image can be packed for another device only if its VM was packed with"
            " permission to migrate (`image pack --migrate`)"
        )
    fresh = test_secrets if test_secrets is not None else Secrets.fresh()
    moved = replace(
        header,
        flags=header.flags | (Flags.MIGRATED if header.saved else Flags(0)),
        wrap_nonce=fresh.wrap_nonce,
        nonce=fresh.nonce,
    )
    return _wrap(moved, unpacked.memories, root_key=new_root_key, vm_key=fresh.vm_key)
