# SPDX-License-Identifier: Apache-2.0
"""Frames as bytes: any frame, any pieces, any garbage around, any spoiled bit."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindvisor.hdl.host.frames import ESCAPE, SYNC
from blindvisor.sw.host.wire import Decoder, Frame, encode

BYTE = st.integers(0, 255)
WORD = st.one_of(st.integers(0, (1 << 32) - 1), st.sampled_from([0x7E7E7E7E, 0x7D5E7E7D]))
FRAMES = st.builds(Frame, BYTE, BYTE, st.lists(WORD, max_size=20).map(tuple))


def test_a_frame_as_the_page_has_it():
    body = bytes([3, 0x7D, 1, 0x7E, 0, 0, 0])
    crc = zlib.crc32(body).to_bytes(4, "little")
    assert not {SYNC, ESCAPE} & set(crc)
    line = bytes([0x7E, 3, 0x7D, 0x5D, 1, 0x7D, 0x5E, 0, 0, 0]) + crc
    assert encode(Frame(3, 0x7D, (0x7E,))) == line


@given(FRAMES)
def test_sync_is_nowhere_but_at_the_beginning(frame):
    line = encode(frame)
    assert line[0] == SYNC
    assert SYNC not in line[1:]


@given(st.lists(FRAMES, max_size=4), st.lists(st.binary(max_size=30), max_size=5), st.data())
def test_frames_are_found_in_any_pieces_and_between_garbage(frames, garbage, data):
    line = b""
    for n, frame in enumerate(frames):
        line += garbage[n] if n < len(garbage) else b""
        line += encode(frame)
    decoder, found = Decoder(), []
    while line:
        size = data.draw(st.integers(1, len(line)))
        found += decoder.feed(line[:size])
        line = line[size:]
    assert found == frames


@given(st.lists(WORD, max_size=255).map(tuple))
def test_the_longest_frames_too(words):
    frame = Frame(131, 255, words)
    assert Decoder().feed(encode(frame)) == [frame]


@given(FRAMES, st.data())
def test_a_spoiled_bit_makes_no_other_frame_and_costs_no_next_one(frame, data):
    line = bytearray(encode(frame))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= 1 << data.draw(st.integers(0, 7))
    after = Frame(1, 2, (3,))
    assert Decoder().feed(bytes(line) + encode(after)) == [after]


@given(FRAMES, st.data())
def test_a_lost_byte_makes_no_other_frame_and_costs_no_next_one(frame, data):
    line = bytearray(encode(frame))
    del line[data.draw(st.integers(0, len(line) - 1))]
    after = Frame(1, 2, (3,))
    assert Decoder().feed(bytes(line) + encode(after)) == [after]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (Frame(256, 0, ()), "must be bytes, not 256 and 0"),
        (Frame(1, -1, ()), "must be bytes, not 1 and -1"),
        (Frame(1, 0, (1 << 32,)), "32-bit words, not 4294967296"),
        (Frame(1, 0, (0,) * 256), "at most 255 words, not 256"),
    ],
)
def test_what_no_frame_can_hold_is_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        encode(frame)
