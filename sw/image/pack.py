# SPDX-License-Identifier: Apache-2.0
"""Encrypts the memories of a VM into an image for one device, and back."""

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
    Header,
    ImageSizeError,
    ImageTagError,
    check_total,
)
from blindvisor.sw.image.keys import unwrap_key, wrap_key

__all__ = ["Secrets", "Unpacked", "pack", "rewrap", "unpack"]


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


def pack(
    memories: Sequence[bytes],
    *,
    width: int,
    height: int,
    root_key: bytes,
    identity: bytes | None = None,
    security_version: int = 0,
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
        32 bits.
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
    unwrapped = Header(
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
    wrapped_key, wrap_tag = wrap_key(
        chosen.vm_key,
        root_key=root_key,
        nonce=chosen.wrap_nonce,
        aad=unwrapped.to_bytes()[:WRAP_AAD_BYTES],
    )
    head = replace(unwrapped, wrapped_key=wrapped_key, wrap_tag=wrap_tag).to_bytes()
    cipher = AES.new(chosen.vm_key, AES.MODE_GCM, nonce=chosen.nonce)
    cipher.update(head)
    body = b"".join(memory.ljust(unwrapped.bytes_per_cluster, b"\0") for memory in memories)
    ciphertext, tag = cipher.encrypt_and_digest(body)
    return head + ciphertext + tag


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
    vm_key = unwrap_key(
        header.wrapped_key,
        header.wrap_tag,
        root_key=root_key,
        nonce=header.wrap_nonce,
        aad=image[:WRAP_AAD_BYTES],
    )
    cipher = AES.new(vm_key, AES.MODE_GCM, nonce=header.nonce)
    cipher.update(image[:HEADER_BYTES])
    try:
        body = cipher.decrypt_and_verify(image[HEADER_BYTES:-TAG_BYTES], image[-TAG_BYTES:])
    except ValueError:
        raise ImageTagError("the image's header or contents are not what was packed") from None
    size = header.bytes_per_cluster
    return Unpacked(
        header=header,
        memories=tuple(body[n : n + size] for n in range(0, len(body), size)),
    )


def rewrap(image: bytes, *, root_key: bytes, new_root_key: bytes) -> bytes:
    """Return the image for another device: same VM, same contents, same security version.

    The VM key is fresh too. With the old one, two devices' owners would hold images under one key,
    and since the wrapped key is authenticated with the contents, these would need a new tag: under
    the old nonce that would give the authentication key away.

    Parameters
    ----------
    image : :class:`bytes`
        Image for the device with ``root_key``.
    root_key, new_root_key : :class:`bytes`
        Root keys of the device that it is for and of the one that it shall be for.

    Raises
    ------
    :exc:`~blindvisor.sw.image.format.ImageError`
        If the first device would not accept the image.
    """
    unpacked = unpack(image, root_key=root_key)
    header = unpacked.header
    return pack(
        unpacked.memories,
        width=header.width,
        height=header.height,
        root_key=new_root_key,
        identity=header.identity,
        security_version=header.security_version,
    )
