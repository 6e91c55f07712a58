# SPDX-License-Identifier: Apache-2.0
"""Images: round trip, tampering, the contract's layout."""

import pytest
from Crypto.Cipher import AES
from hypothesis import given
from hypothesis import strategies as st

from blindvisor.sw.image.format import (
    HEADER_BYTES,
    MAGIC,
    Header,
    ImageError,
    ImageHeaderError,
    ImageKeyError,
    ImageSizeError,
    ImageTagError,
)
from blindvisor.sw.image.keys import key_encryption_key
from blindvisor.sw.image.pack import Secrets, pack, unpack

KEY = bytes(range(32))
IMAGE = pack([b"first", b"second", b"", b"x" * 17, b"", b""], width=3, height=2, root_key=KEY)


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
)
def test_what_was_packed_comes_back(vm, version, identity):
    width, height, memories = vm
    arguments = {
        "width": width,
        "height": height,
        "root_key": KEY,
        "identity": identity,
        "security_version": version,
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
    assert Header.from_bytes(image).to_bytes() == image[:HEADER_BYTES]


@given(bit=st.integers(0, 8 * len(IMAGE) - 1))
def test_no_bit_can_be_changed(bit):
    index, mask = bit // 8, 1 << bit % 8
    changed = IMAGE[:index] + bytes([IMAGE[index] ^ mask]) + IMAGE[index + 1 :]
    zero = (14, 15, *range(24, 32), *range(60, 64), *range(124, 128))
    if index < 12 or index in zero:
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
        == MAGIC + bytes.fromhex("0100 0000 02 01 0000 10000000 04030201") + bytes(8) + b"i" * 16
    )
    assert image[48:128] == b"w" * 12 + bytes(4) + wrapped + wrap_tag + b"n" * 12 + bytes(4)
    contents = AES.new(b"k" * 32, AES.MODE_GCM, nonce=b"n" * 12)
    contents.update(image[:128])
    ciphertext, tag = contents.encrypt_and_digest(b"a" * 16 + b"b" * 16)
    assert image[128:] == ciphertext + tag


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
