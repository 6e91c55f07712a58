# SPDX-License-Identifier: Apache-2.0
"""Device keys: files, derivation, wrap."""

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import CMAC

from blindvisor.sw.image.format import ImageKeyError
from blindvisor.sw.image.keys import (
    KeyFileError,
    generate_key_file,
    key_encryption_key,
    read_key_file,
    unwrap_key,
    wrap_key,
)


def test_derivation_is_the_documented_formula(root_key):
    def block(index: int) -> bytes:
        message = index.to_bytes(4, "big") + b"bv-key-wrap\0blindvisor 1" + bytes([0, 0, 1, 0])
        return CMAC.new(root_key, message, ciphermod=AES).digest()

    assert key_encryption_key(root_key) == block(1) + block(2)


def test_derived_keys_of_two_devices_differ(root_key):
    assert key_encryption_key(root_key) != key_encryption_key(root_key[::-1])


def test_short_root_key_is_refused():
    with pytest.raises(ValueError, match="must have 32 bytes, not 16"):
        key_encryption_key(bytes(16))


def test_wrapped_key_comes_back(root_key):
    wrapped, tag = wrap_key(bytes(32), root_key=root_key, nonce=bytes(12), aad=b"head")
    assert wrapped != bytes(32)
    arguments = {"root_key": root_key, "nonce": bytes(12), "aad": b"head"}
    assert unwrap_key(wrapped, tag, **arguments) == bytes(32)
    for wrong in ({"root_key": root_key[::-1]}, {"nonce": b"\1" * 12}, {"aad": b"Head"}):
        with pytest.raises(ImageKeyError, match="not wrapped for this device"):
            unwrap_key(wrapped, tag, **(arguments | wrong))


def test_key_file_is_private_random_and_read_back(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    generate_key_file(one)
    generate_key_file(two)
    assert one.stat().st_mode & 0o777 == 0o600
    assert read_key_file(one).hex() == one.read_text().strip()
    assert read_key_file(one) != read_key_file(two)


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "0g" * 32, "00" * 32 + " 00"])
def test_other_files_are_no_keys_and_are_not_shown(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(KeyFileError, match="must hold a device key") as caught:
        read_key_file(path)
    assert not text or text not in str(caught.value)
