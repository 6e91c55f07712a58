# SPDX-License-Identifier: Apache-2.0
"""Device keys: files, derivation, wrap."""

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import CMAC
from Crypto.Protocol.KDF import SP800_108_Counter

from blindvisor.sw.image.format import ImageKeyError
from blindvisor.sw.image.keys import (
    KeyFileError,
    generate_key_file,
    key_encryption_key,
    machine_identity,
    read_key_file,
    report_key,
    save_key,
    save_number,
    unwrap_key,
    wrap_key,
)


def derived(root_key, label, context):
    def block(index: int) -> bytes:
        message = index.to_bytes(4, "big") + label + b"\0" + context + bytes([0, 0, 1, 0])
        return CMAC.new(root_key, message, ciphermod=AES).digest()

    return block(1) + block(2)


def test_derivations_are_the_documented_formula(root_key):
    context = b"blindvisor 1"
    assert key_encryption_key(root_key) == derived(root_key, b"bv-key-wrap", context)
    assert report_key(root_key) == derived(root_key, b"bv-attest-k", context)
    assert machine_identity(root_key) == derived(root_key, b"bv-machine-", context)[:16]
    number = save_number(0x0102, 3)
    assert number == bytes.fromhex("0201 000000000000 03000000")
    assert save_key(root_key, number) == derived(root_key, b"bv-save-key", number)


def test_derivation_is_the_library_s_where_that_knows_it(root_key):
    key = SP800_108_Counter(
        root_key,
        32,
        lambda secret, message: CMAC.new(secret, message, ciphermod=AES).digest(),
        label=b"bv-key-wrap",
        context=b"blindvisor 1",
    )
    assert key_encryption_key(root_key) == key


def test_a_save_number_of_another_length_is_refused(root_key):
    with pytest.raises(ValueError, match="a save number must have 12 bytes, not 11"):
        save_key(root_key, bytes(11))
    for epoch, count in ((1 << 64, 0), (0, 1 << 32), (-1, 0)):
        with pytest.raises(OverflowError):
            save_number(epoch, count)


def test_all_derived_keys_differ(root_key):
    keys = {
        derive(key)
        for key in (root_key, root_key[::-1])
        for derive in (
            key_encryption_key,
            report_key,
            machine_identity,
            lambda key: save_key(key, save_number(1, 1)),
            lambda key: save_key(key, save_number(1, 2)),
            lambda key: save_key(key, save_number(2, 1)),
        )
    }
    assert len(keys) == 12


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
    with pytest.raises(KeyFileError, match="must hold a key") as caught:
        read_key_file(path)
    assert not text or text not in str(caught.value)
