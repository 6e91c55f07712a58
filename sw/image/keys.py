# SPDX-License-Identifier: Apache-2.0
"""Device keys: made, kept in files, and what is derived from them.

Source: NIST SP 800-108r1, section 4.1 (counter mode), PRF AES-256-CMAC (SP 800-38B); key wrap by
AES-256-GCM (SP 800-38D).
"""

import re
import secrets
from pathlib import Path

from Crypto.Cipher import AES
from Crypto.Hash import CMAC
from Crypto.Protocol.KDF import SP800_108_Counter

from blindvisor.sw.files import write_new
from blindvisor.sw.image.format import KEY_BYTES, ImageKeyError

__all__ = [
    "CONTEXT",
    "LABEL",
    "KeyFileError",
    "generate_key_file",
    "key_encryption_key",
    "read_key_file",
    "unwrap_key",
    "wrap_key",
]

LABEL = b"bv-key-wrap"
CONTEXT = b"blindvisor 1"


class KeyFileError(ValueError):
    """A file that does not hold a device key."""


def generate_key_file(path: Path) -> None:
    """Write a fresh device root key: 64 hexadecimal digits, readable by its owner alone.

    Raises
    ------
    :exc:`FileExistsError`
        If the file is there; a device key that is lost cannot be made again.
    """
    write_new(path, f"{secrets.token_hex(KEY_BYTES)}\n".encode(), mode=0o600)


def read_key_file(path: Path) -> bytes:
    """Return the 32 bytes of a device root key.

    Raises
    ------
    :exc:`KeyFileError`
        If the file does not hold exactly 64 hexadecimal digits. The message does not show them.
    """
    text = path.read_bytes()
    if not re.fullmatch(rb"[0-9a-fA-F]{64}\s*", text):
        raise KeyFileError(
            f"{path} must hold a device key ({2 * KEY_BYTES} hexadecimal digits) and nothing else"
        )
    return bytes.fromhex(text.decode())


def key_encryption_key(root_key: bytes) -> bytes:
    """Derive the 256-bit key that wraps VM keys for the device with this root key."""
    if len(root_key) != KEY_BYTES:
        raise ValueError(f"a root key must have {KEY_BYTES} bytes, not {len(root_key)}")
    key = SP800_108_Counter(
        root_key,
        KEY_BYTES,
        lambda secret, message: CMAC.new(secret, message, ciphermod=AES).digest(),
        label=LABEL,
        context=CONTEXT,
    )
    assert isinstance(key, bytes)  # one key was asked for; the library can return several
    return key


def wrap_key(vm_key: bytes, *, root_key: bytes, nonce: bytes, aad: bytes) -> tuple[bytes, bytes]:
    """Return the encrypted VM key and its tag."""
    cipher = AES.new(key_encryption_key(root_key), AES.MODE_GCM, nonce=nonce)
    cipher.update(aad)
    return cipher.encrypt_and_digest(vm_key)


def unwrap_key(wrapped: bytes, tag: bytes, *, root_key: bytes, nonce: bytes, aad: bytes) -> bytes:
    """Return the VM key.

    Raises
    ------
    :exc:`~blindvisor.sw.image.format.ImageKeyError`
        If the tag does not fit.
    """
    cipher = AES.new(key_encryption_key(root_key), AES.MODE_GCM, nonce=nonce)
    cipher.update(aad)
    try:
        return cipher.decrypt_and_verify(wrapped, tag)
    except ValueError:
        raise ImageKeyError(
            "the image's key was not wrapped for this device, or the image's header was changed"
        ) from None
