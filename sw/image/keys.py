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

from blindvisor.sw.files import write_new
from blindvisor.sw.image.format import KEY_BYTES, NONCE_BYTES, ImageKeyError

__all__ = [
    "CONTEXT",
    "MACHINE_BYTES",
    "KeyFileError",
    "cmac",
    "generate_key_file",
    "key_encryption_key",
    "machine_identity",
    "read_key_file",
    "report_key",
    "save_key",
    "save_number",
    "unwrap_key",
    "wrap_key",
    "write_key_file",
]

CONTEXT = b"blindvisor 1"
MACHINE_BYTES = 16

_BITS = 8 * KEY_BYTES


class KeyFileError(ValueError):
    """A file that does not hold a device key."""


def generate_key_file(path: Path) -> None:
    """Write a fresh device root key: 64 hexadecimal digits, readable by its owner alone.

    Raises
    ------
    :exc:`FileExistsError`
        If the file is there; a device key that is lost cannot be made again.
    """
    write_key_file(path, secrets.token_bytes(KEY_BYTES))


def write_key_file(path: Path, key: bytes) -> None:
    """Write a key that is there already, a report key say, as :func:`generate_key_file` does."""
    write_new(path, f"{key.hex()}\n".encode(), mode=0o600)


def read_key_file(path: Path) -> bytes:
    """Return the 32 bytes of a device root key, or of a report key.

    Raises
    ------
    :exc:`KeyFileError`
        If the file does not hold exactly 64 hexadecimal digits. The message does not show them.
    """
    text = path.read_bytes()
    if not re.fullmatch(rb"[0-9a-fA-F]{64}\s*", text):
        raise KeyFileError(
            f"{path} must hold a key ({2 * KEY_BYTES} hexadecimal digits) and nothing else"
        )
    return bytes.fromhex(text.decode())


def cmac(key: bytes, message: bytes) -> bytes:
    """Return the AES-256-CMAC (SP 800-38B)."""
    return CMAC.new(key, message, ciphermod=AES).digest()


def key_encryption_key(root_key: bytes) -> bytes:
    """Derive the 256-bit key that wraps VM keys for the device with this root key."""
    return _derive(root_key, b"bv-key-wrap", CONTEXT)


def save_key(root_key: bytes, number: bytes) -> bytes:
    """Derive the 256-bit key of the one saved image that has this save number (12 bytes)."""
    if len(number) != NONCE_BYTES:
        raise ValueError(f"a save number must have {NONCE_BYTES} bytes, not {len(number)}")
    return _derive(root_key, b"bv-save-key", number)


def save_number(epoch: int, count: int) -> bytes:
    """Return the save number: of this power-on (64 bits), the save with this count (32 bits)."""
    return epoch.to_bytes(8, "little") + count.to_bytes(4, "little")


def report_key(root_key: bytes) -> bytes:
    """Derive the 256-bit key of the device's attestation reports."""
    return _derive(root_key, b"bv-attest-k", CONTEXT)


def machine_identity(root_key: bytes) -> bytes:
    """Return the 16 bytes that name the device in its reports."""
    return _derive(root_key, b"bv-machine-", CONTEXT)[:MACHINE_BYTES]


def _derive(root_key: bytes, label: bytes, context: bytes) -> bytes:
    # PyCryptodome's own derivation refuses contexts with a zero byte; save numbers have many.
    if len(root_key) != KEY_BYTES:
        raise ValueError(f"a root key must have {KEY_BYTES} bytes, not {len(root_key)}")
    fixed = label + b"\0" + context + _BITS.to_bytes(4, "big")
    return b"".join(cmac(root_key, index.to_bytes(4, "big") + fixed) for index in (1, 2))


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
