# amaranth: UnusedElaboratable=no
"""The check of an image's header."""

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.header import HEADER, HEADER_BLOCKS, HeaderCheck, block_of
from blindvisor.sim import pysim
from blindvisor.sw.image.format import ALLOWED_FLAGS, Header

CONFIG = MachineConfig(name="test", width=2, height=2, memory_bytes=4096)
GOOD = Header(
    width=2,
    height=1,
    bytes_per_cluster=4096,
    security_version=0x01020304,
    identity=bytes(range(16)),
    wrap_nonce=bytes(range(100, 112)),
    wrapped_key=bytes(range(32)),
    wrap_tag=bytes(range(50, 66)),
    nonce=bytes(range(200, 212)),
).to_bytes()


def changed(offset, replacement):
    return GOOD[:offset] + bytes(replacement) + GOOD[offset + len(replacement) :]


def check(header):
    """Return bad_header, bad_size and the bytes per cluster."""
    dut = HeaderCheck(CONFIG)
    seen = []

    async def testbench(ctx):
        ctx.set(dut.width, 2)
        ctx.set(dut.height, 1)
        for index in range(HEADER_BLOCKS):
            ctx.set(dut.index, index)
            block = header[16 * index : 16 * index + 16]
            ctx.set(dut.block, int.from_bytes(block, "little"))
            await ctx.tick()  # not valid yet: looked at once only
            ctx.set(dut.valid, 1)
            await ctx.tick()
            ctx.set(dut.valid, 0)
        seen.extend(ctx.get(port) for port in (dut.bad_header, dut.bad_size, dut.cluster_bytes))

    pysim.simulate(dut, testbench)
    return tuple(seen)


def test_layout_is_the_image_tools():
    view = HEADER.from_bits(int.from_bytes(GOOD, "little"))
    assert (view.width, view.height, view.cluster_bytes) == (2, 1, 4096)
    assert view.nonce.to_bytes(12, "little") == bytes(range(200, 212))
    assert view.wrapped_key.to_bytes(32, "little") == bytes(range(32))
    assert [block_of(name) for name in ("wrap_nonce", "wrapped_key", "wrap_tag", "nonce")] == [
        3,
        4,
        6,
        7,
    ]


def test_good_header_passes():
    assert check(GOOD) == (0, 0, 4096)


@pytest.mark.parametrize("offset", [0, 7, 8, 9, 10, 11, 14, 15, 28, 31, 60, 63, 124, 127])
def test_fixed_bytes_must_be_right(offset):
    assert check(changed(offset, [GOOD[offset] ^ 0x80])) == (1, 0, 4096)


@pytest.mark.parametrize("offset", [24, 27, 128, 143, 144, 159])
def test_what_only_a_saved_image_has_is_zero_in_others(offset):
    for flags in ALLOWED_FLAGS:
        header = changed(10, flags.to_bytes(2, "little"))
        header = header[:offset] + b"\x80" + header[offset + 1 :]
        assert check(header) == (int(not flags & 1), 0, 4096)


@pytest.mark.parametrize("flags", [4, 5, 6, 8, 11, 0x100, 0x103, 0x8001])
def test_flags_that_do_not_go_together_are_refused(flags):
    assert check(changed(10, flags.to_bytes(2, "little"))) == (1, 0, 4096)


@pytest.mark.parametrize("flags", ALLOWED_FLAGS)
def test_what_is_needed_later_is_kept(flags):
    header = changed(10, flags.to_bytes(2, "little"))
    if flags & 1:
        header = header[:24] + b"\x11\x22\x33\x44" + header[28:]
    dut = HeaderCheck(CONFIG)
    seen = []

    async def testbench(ctx):
        ctx.set(dut.valid, 1)
        for index in range(HEADER_BLOCKS):
            ctx.set(dut.index, index)
            block = header[16 * index : 16 * index + 16]
            ctx.set(dut.block, int.from_bytes(block, "little"))
            await ctx.tick()
        kept = (dut.flags, dut.security_version, dut.generation, dut.saved, dut.sealed)
        seen.extend(ctx.get(port) for port in kept)

    pysim.simulate(dut, testbench)
    generation = 0x44332211 if flags & 1 else 0
    assert seen == [flags, 0x01020304, generation, flags & 1, int(flags in (1, 3))]


@pytest.mark.parametrize("offset", [20, 32, 48, 64, 95, 96, 112, 123])
def test_other_bytes_may_be_anything(offset):
    assert check(changed(offset, [GOOD[offset] ^ 0x80])) == (0, 0, 4096)


@pytest.mark.parametrize(
    ("offset", "replacement"),
    [
        (12, [1]),
        (12, [2 + 32]),
        (13, [2]),
        (13, [0x81]),
        (16, [0, 0]),
        (16, [8, 0]),
        (16, [0x10, 0x10]),
        (16, [0, 0, 1]),
        (16, [0, 0x10, 0, 0x80]),
    ],
)
def test_sizes_must_fit(offset, replacement):
    assert check(changed(offset, replacement))[:2] == (0, 1)
