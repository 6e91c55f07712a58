# SPDX-License-Identifier: Apache-2.0
"""The loader's checks, in their order and at their places in the image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindvisor.hdl.abi import Result
from blindvisor.sw.image.format import ImageError
from blindvisor.sw.image.pack import pack, unpack
from blindvisor.sw.model.loader import Loader
from blindvisor.sw.model.store import Store

KEY = bytes(range(32))
IMAGE = pack([b"first", b"second"], width=2, height=1, root_key=KEY)


def load(image, *, length=None, root_key=KEY, **size):
    """Feed an image until the loader wants no more; return it and how many words it took."""
    size = {"width": 2, "height": 1, "memory_bytes": 1024, "store": Store(4)} | size
    loader = Loader(root_key=root_key, length=len(image) if length is None else length, **size)
    taken = 0
    while loader.remaining and 4 * taken < len(image):
        loader.feed(int.from_bytes(image[4 * taken : 4 * taken + 4], "little"))
        taken += 1
    return loader, taken


def changed(image, index, mask):
    return image[:index] + bytes([image[index] ^ mask]) + image[index + 1 :]


def test_good_image_gives_the_memories_at_its_last_word():
    loader, taken = load(IMAGE)
    assert (loader.result, taken) == (Result.OK, len(IMAGE) // 4)
    assert loader.memories == list(unpack(IMAGE, root_key=KEY).memories)
    early, _ = load(IMAGE[:-4], length=len(IMAGE))
    assert (early.result, early.memories, early.remaining) == (Result.NONE, [], 1)


@given(bit=st.integers(0, 8 * len(IMAGE) - 1))
def test_changed_bit_is_found_as_the_image_tool_finds_it(bit):
    image = changed(IMAGE, bit // 8, 1 << bit % 8)
    with pytest.raises(ImageError) as caught:
        unpack(image, root_key=KEY)
    loader, taken = load(image)
    assert loader.result is caught.value.result
    assert loader.memories == []
    # Everything but the tag of the contents is known once the header is there.
    assert taken == (len(image) // 4 if loader.result is Result.IMAGE_TAG else 40)


@pytest.mark.parametrize("length", [0, 160, 175, 177, 2 * 1024 + 176 + 16, 0xFFFF_FFF0])
def test_impossible_length_is_refused_before_any_word(length):
    loader, taken = load(IMAGE, length=length)
    assert (loader.result, taken) == (Result.IMAGE_SIZE, 0)


@pytest.mark.parametrize("length", [176, len(IMAGE) - 16, len(IMAGE) + 16])
def test_length_must_be_that_of_the_header(length):
    loader, taken = load(IMAGE.ljust(length, b"\0"), length=length)
    assert (loader.result, taken) == (Result.IMAGE_SIZE, 40)


def test_largest_image_is_accepted_and_one_that_exceeds_a_memory_is_not():
    image = pack([bytes(1024)] * 2, width=2, height=1, root_key=KEY)
    assert load(image)[0].result is Result.OK
    one = pack([bytes(1040)], width=1, height=1, root_key=KEY)
    assert load(one, width=1)[0].result is Result.IMAGE_SIZE
    # As long as the VM's memory in all, but for a VM of another shape.
    assert load(image, width=1, height=2)[0].result is Result.IMAGE_SIZE


@pytest.mark.parametrize(
    ("spoiled", "result"),
    [
        ((0, 12, 64, 120), Result.IMAGE_HEADER),
        ((12, 64, 120), Result.IMAGE_SIZE),
        ((64, 120), Result.IMAGE_KEY),
        ((120, 170), Result.IMAGE_TAG),
    ],
)
def test_first_failing_check_names_the_result(spoiled, result):
    image = IMAGE
    for index in spoiled:
        image = changed(image, index, 1)
    assert load(image)[0].result is result


def test_other_device_fails_at_the_key():
    assert load(IMAGE, root_key=KEY[::-1])[0].result is Result.IMAGE_KEY
