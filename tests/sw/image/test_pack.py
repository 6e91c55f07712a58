# SPDX-License-Identifier: Apache-2.0
"""Images: round trip, tampering, the contract's layout."""

import dataclasses
import hashlib

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from blindvisor.sw.image.format import (
    HEADER_BYTES,
    MAGIC,
    Flags,
    Header,
    ImageError,
    ImageHeaderError,
    ImageKeyError,
    ImageMigrationError,
    ImageSizeError,
    ImageTagError,
)
from blindvisor.sw.image.keys import key_encryption_key, save_key, save_number
from blindvisor.sw.image.pack import Secrets, pack, rewrap, seal, unpack

KEY = bytes(range(32))
OTHER = KEY[::-1]
IMAGE = pack([b"first", b"second", b"", b"x" * 17, b"", b""], width=3, height=2, root_key=KEY)
NUMBER = save_number(7, 3)


def saved(*, migrate=False, **changes):
    """A saved image of two clusters."""
    arguments = {
        "width": 2,
        "height": 1,
        "root_key": KEY,
        "number": NUMBER,
        "flags": Flags.MIGRATE if migrate else Flags(0),
        "identity": b"i" * 16,
        "security_version": 5,
        "generation": 9,
        "measurement": b"m" * 32,
    }
    return seal([b"a" * 32, b"b" * 32], **(arguments | changes))


@st.composite
def virtual_machines(draw: st.DrawFn):
    width, height = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    count = width * height
    memories = draw(st.lists(st.binary(max_size=70), min_size=count, max_size=count))
    return width, height, memories


@given(
    vm=virtual_machines(),
    version=st.integers(0, 2**32 - 1),
    identity=st.binary(min_size=16, max_size=16),
    migrate=st.booleans(),
)
def test_what_was_packed_comes_back(vm, version, identity, migrate):
    width, height, memories = vm
    arguments = {
        "width": width,
        "height": height,
        "root_key": KEY,
        "identity": identity,
        "security_version": version,
        "migrate": migrate,
    }
    longest = max(map(len, memories))
    if longest == 0:
        with pytest.raises(ImageSizeError, match="bytes per cluster"):
            pack(memories, **arguments)
        return
    image = pack(memories, **arguments)
    unpacked = unpack(image, root_key=KEY)
    size = unpacked.header.bytes_per_cluster
    assert size % 16 == 0
    assert longest <= size < longest + 16
    assert unpacked.memories == tuple(memory.ljust(size, b"\0") for memory in memories)
    assert unpacked.header.security_version == version
    assert unpacked.header.identity == identity
    assert unpacked.header.flags == (Flags.MIGRATE if migrate else 0)
    assert unpacked.measurement == hashlib.sha256(b"".join(unpacked.memories)).digest()
    assert Header.from_bytes(image).to_bytes() == image[:HEADER_BYTES]


@given(bit=st.integers(0, 8 * len(IMAGE) - 1))
def test_no_bit_can_be_changed(bit):
    index, mask = bit // 8, 1 << bit % 8
    changed = IMAGE[:index] + bytes([IMAGE[index] ^ mask]) + IMAGE[index + 1 :]
    zero = (14, 15, *range(24, 32), *range(60, 64), *range(124, 128), *range(128, 160))
    if (index, mask) == (10, Flags.SAVED):
        expected = ImageTagError  # its key is derived, then
    elif (index, mask) == (10, Flags.MIGRATE):
        expected = ImageKeyError
    elif index < 12 or index in zero:
        expected = ImageHeaderError
    elif index in (12, 13, *range(16, 20)):
        expected = ImageSizeError
    elif index < 112:
        expected = ImageKeyError
    else:
        expected = ImageTagError
    with pytest.raises(expected) as caught:
        unpack(changed, root_key=KEY)
    assert type(caught.value) is expected


@given(length=st.integers(0, len(IMAGE) + 40))
def test_no_other_length_is_accepted(length):
    if length == len(IMAGE):
        unpack(IMAGE, root_key=KEY)
        return
    with pytest.raises(ImageSizeError):
        unpack(IMAGE.ljust(length, b"\0")[:length], root_key=KEY)


def test_another_device_cannot_unwrap_the_key():
    with pytest.raises(ImageKeyError):
        unpack(IMAGE, root_key=KEY[::-1])


def test_fields_are_where_the_format_says():
    secrets = Secrets(vm_key=b"k" * 32, wrap_nonce=b"w" * 12, nonce=b"n" * 12)
    image = pack(
        [b"a" * 16, b"b" * 16],
        width=2,
        height=1,
        root_key=KEY,
        identity=b"i" * 16,
        security_version=0x01020304,
        test_secrets=secrets,
    )
    kek = AES.new(key_encryption_key(KEY), AES.MODE_GCM, nonce=b"w" * 12)
    kek.update(image[:48])
    wrapped, wrap_tag = kek.encrypt_and_digest(b"k" * 32)
    assert (
        image[:48]
        == MAGIC + bytes.fromhex("0200 0000 02 01 0000 10000000 04030201") + bytes(8) + b"i" * 16
    )
    assert image[48:128] == b"w" * 12 + bytes(4) + wrapped + wrap_tag + b"n" * 12 + bytes(4)
    assert image[128:160] == bytes(32)
    contents = AES.new(b"k" * 32, AES.MODE_GCM, nonce=b"n" * 12)
    contents.update(image[:160])
    ciphertext, tag = contents.encrypt_and_digest(b"a" * 16 + b"b" * 16)
    assert image[160:] == ciphertext + tag


def test_two_images_of_one_guest_share_no_secret():
    one, two = (Header.from_bytes(pack([b"x"], width=1, height=1, root_key=KEY)) for _ in "ab")
    assert one.nonce != two.nonce
    assert one.wrap_nonce != two.wrap_nonce
    assert one.wrapped_key != two.wrapped_key
    assert one.identity != two.identity


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 2}, "must have 2 memories, not 1"),
        ({"width": 0, "memories": []}, "from 1 x 1 to 16 x 16 clusters, not 0 x 1"),
        ({"width": 16, "height": 16, "memories": [b"x"] * 256}, "smaller than 16 x 16"),
        ({"memories": [bytes((1 << 20) + 1)]}, "at most 1048576"),
        ({"identity": b"short"}, "identity must have 16 bytes, not 5"),
        ({"security_version": 1 << 32}, "security version must be from 0"),
        ({"security_version": -1}, "security version must be from 0"),
    ],
)
def test_what_no_image_can_hold_is_refused(arguments, message):
    values = {"memories": [b"x"], "width": 1, "height": 1, "root_key": KEY} | arguments
    memories = values.pop("memories")
    with pytest.raises(ImageError, match=message):
        pack(memories, **values)


@pytest.mark.parametrize("migrate", [False, True])
def test_a_saved_image_is_what_the_format_says(migrate):
    image = saved(migrate=migrate)
    flags = "0300" if migrate else "0100"
    head = MAGIC + bytes.fromhex(f"0200 {flags} 02 01 0000 20000000 05000000 09000000 00000000")
    assert image[:48] == head + b"i" * 16
    assert image[48:112] == bytes(64)
    assert image[112:160] == NUMBER + bytes(4) + b"m" * 32
    cipher = AES.new(save_key(KEY, NUMBER), AES.MODE_GCM, nonce=NUMBER)
    cipher.update(image[:160])
    assert cipher.encrypt_and_digest(b"a" * 32 + b"b" * 32) == (image[160:-16], image[-16:])
    unpacked = unpack(image, root_key=KEY)
    assert unpacked.memories == (b"a" * 32, b"b" * 32)
    assert unpacked.measurement == b"m" * 32
    with pytest.raises(ImageTagError, match="not what was saved by this device"):
        unpack(image, root_key=OTHER)


SAVED = saved(migrate=True)


@given(bit=st.integers(0, 8 * len(SAVED) - 1))
def test_no_bit_of_a_saved_image_can_be_changed(bit):
    index, mask = bit // 8, 1 << bit % 8
    changed = SAVED[:index] + bytes([SAVED[index] ^ mask]) + SAVED[index + 1 :]
    with pytest.raises(ImageError) as caught:
        unpack(changed, root_key=KEY)
    if (index, mask) == (10, Flags.MIGRATED):
        assert type(caught.value) is ImageKeyError  # no key was ever wrapped
    elif (index, mask) == (10, Flags.MIGRATE) or 20 <= index < 28 or 48 <= index < 60:
        assert type(caught.value) is ImageTagError


def test_only_what_may_migrate_is_packed_for_another_device():
    with pytest.raises(ImageMigrationError, match="permission to migrate"):
        rewrap(saved(), root_key=KEY, new_root_key=OTHER)
    moved = rewrap(saved(migrate=True), root_key=KEY, new_root_key=OTHER)
    before, after = (
        unpack(image, root_key=key) for image, key in ((saved(migrate=True), KEY), (moved, OTHER))
    )
    assert after.memories == before.memories
    assert after.measurement == b"m" * 32
    assert after.header.flags == Flags.SAVED | Flags.MIGRATE | Flags.MIGRATED
    for name in ("width", "height", "security_version", "generation", "identity"):
        assert getattr(after.header, name) == getattr(before.header, name)
    again = rewrap(moved, root_key=OTHER, new_root_key=KEY)
    headers = [Header.from_bytes(image) for image in (saved(migrate=True), moved, again)]
    assert len({header.nonce for header in headers}) == 3
    assert len({header.wrapped_key for header in headers}) == 3
    assert unpack(again, root_key=KEY).memories == before.memories
    with pytest.raises(ImageKeyError):
        unpack(moved, root_key=KEY)


def test_rewrapping_a_packed_image_does_not_make_it_a_migrated_one():
    image = pack([b"x"], width=1, height=1, root_key=KEY, migrate=True)
    moved = unpack(rewrap(image, root_key=KEY, new_root_key=OTHER), root_key=OTHER).header
    assert moved.flags == Flags.MIGRATE


@pytest.mark.parametrize("flags", range(16))
def test_only_the_flags_of_the_contract_are_allowed(flags):
    head = bytearray(saved()[:HEADER_BYTES])
    head[10] = flags
    if flags in (1, 3, 7):
        assert Header.from_bytes(bytes(head)).flags == flags
        return
    with pytest.raises(ImageHeaderError):  # also for what has a generation without being saved
        Header.from_bytes(bytes(head))
    head[24:28], head[128:160] = bytes(4), bytes(32)
    if flags in (0, 2):
        assert Header.from_bytes(bytes(head)).flags == flags
        return
    with pytest.raises(ImageHeaderError, match="flags must be one of 0, 2, 1, 3, 7, not 0x"):
        Header.from_bytes(bytes(head))


def test_no_header_is_written_that_would_not_be_read():
    header = Header.from_bytes(IMAGE)
    for changes in (
        {"generation": 1},
        {"measurement": b"m" * 32},
        {"flags": Flags.MIGRATED},
        {"flags": Flags.SAVED | Flags.MIGRATED},
    ):
        with pytest.raises(ImageHeaderError):
            dataclasses.replace(header, **changes).to_bytes()
