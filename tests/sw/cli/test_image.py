# SPDX-License-Identifier: Apache-2.0
"""``blindvisor image``, as a user runs it."""

import json

import pytest

from blindvisor.sw.cli.app import ExitCode, main
from blindvisor.sw.image.format import Flags
from blindvisor.sw.image.keys import read_key_file, save_number
from blindvisor.sw.image.pack import seal, unpack


@pytest.fixture
def files(tmp_path, make_elf):
    """Key, guest and image paths; key and guest are there."""
    guest = make_elf([(0xFF00_0000, b"code", 4), (0x1000_0010, b"data", 4)])
    assert main(["image", "keygen", "-o", str(tmp_path / "key")]) == ExitCode.OK
    return tmp_path / "key", guest, tmp_path / "guest.bvi"


def pack(files, *more, width=2, height=1):
    key, guest, image = map(str, files)
    size = ["--width", str(width), "--height", str(height)]
    return main(["image", "pack", guest, *size, "--device-key", key, "-o", image, *more])


def test_packed_image_verifies_and_holds_the_guest(files, capsys):
    key, _, image = files
    options = ("--identity", "ab" * 16, "--security-version", "7")
    assert pack(files, *options) == ExitCode.OK
    assert main(["image", "verify", str(image), "--device-key", str(key)]) == ExitCode.OK
    assert capsys.readouterr().out.startswith(f"{image}: good, 2 x 1 clusters, ")
    unpacked = unpack(image.read_bytes(), root_key=read_key_file(key))
    assert unpacked.memories == (
        b"code".ljust(32, b"\0"),
        b"code".ljust(16, b"\0") + b"data".ljust(16, b"\0"),
    )
    assert unpacked.header.security_version == 7
    assert main(["image", "measure", str(image), "--device-key", str(key)]) == ExitCode.OK
    assert capsys.readouterr().out == f"{unpacked.measurement.hex()}\n"


def test_inspect_shows_the_header_without_a_key(files, capsys):
    assert pack(files, "--identity", "ab" * 16) == ExitCode.OK
    assert main(["image", "inspect", str(files[2])]) == ExitCode.OK
    assert "bytes per cluster  32" in capsys.readouterr().out
    assert main(["image", "inspect", str(files[2]), "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["identity"] == "ab" * 16
    assert (shown["flags"], shown["generation"], shown["measurement"]) == ([], 0, "00" * 32)
    assert (shown["width"], shown["height"], shown["image_bytes"]) == (2, 1, 160 + 64 + 16)


@pytest.mark.parametrize("as_json", [False, True])
def test_verify_of_a_changed_image_ends_with_1(files, capsys, as_json):
    key, _, image = files
    pack(files)
    image.write_bytes(image.read_bytes()[:-1] + b"?")
    options = ["--json"] if as_json else []
    code = main(["image", "verify", str(image), "--device-key", str(key), *options])
    assert code == ExitCode.CHECK_FAILED
    out, err = capsys.readouterr()
    assert err == f"Error: {image}: the image's header or contents are not what was packed\n"
    if as_json:
        assert json.loads(out)["result"] == "IMAGE_TAG"


def test_keygen_keeps_an_old_key(files, capsys):
    key = files[0]
    old = key.read_text()
    assert main(["image", "keygen", "-o", str(key)]) == ExitCode.BAD_INPUT
    assert capsys.readouterr().err == f"Error: {key}: file exists\n"
    assert key.read_text() == old


def test_memory_is_that_of_the_machine_or_as_given(files, make_elf, capsys):
    small = files[0].parent / "small.toml"
    small.write_text('base = "small"\nmemory_bytes = 1024\n')
    make_elf([(0xFF00_0400, b"data", 4)])
    assert pack(files) == ExitCode.OK
    assert pack(files, "--config", str(small)) == ExitCode.BAD_INPUT
    assert pack(files, "--memory-bytes", "1024") == ExitCode.BAD_INPUT
    assert pack(files, "--memory-bytes", "2048") == ExitCode.OK
    assert capsys.readouterr().err.count("outside the 1024 bytes of memory") == 2


def test_failed_pack_leaves_the_old_image(files):
    assert pack(files) == ExitCode.OK
    old = files[2].read_bytes()
    assert pack(files, width=1) == ExitCode.BAD_INPUT
    assert files[2].read_bytes() == old


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["image", "inspect", "{missing}"], "{missing}: no such file or directory"),
        (["image", "inspect", "{key}"], "{key}: an image must have at least 176 bytes"),
        (["image", "inspect", "{noise}"], "{noise}: magic must be b'BLNDVSR1', not b'\\xff"),
        (
            ["image", "verify", "{noise}", "--device-key", "{noise}"],
            "{noise} must hold a key",
        ),
        (["image", "keygen", "-o", "{missing}/key"], "{missing}/key: no such file"),
    ],
)
def test_bad_input_is_one_sentence(files, capsys, arguments, message):
    folder = files[0].parent
    names = {"missing": folder / "missing", "key": files[0], "noise": folder / "noise"}
    names["noise"].write_bytes(b"\xff" * 176)
    assert main([item.format(**names) for item in arguments]) == ExitCode.BAD_INPUT
    text = capsys.readouterr().err
    assert text.startswith("Error: " + message.format(**names))
    assert text.count("\n") == 1


@pytest.mark.parametrize("identity", ["", "ab", "xy" * 16])
def test_identity_must_have_16_bytes(files, capsys, identity):
    assert pack(files, "--identity", identity) == ExitCode.BAD_INPUT
    assert "--identity must be 32 hexadecimal digits" in capsys.readouterr().err


@pytest.mark.parametrize("size", [{"width": 0}, {"width": 17}, {"height": 0}])
def test_size_must_be_from_1_to_16(files, size):
    assert pack(files, **size) == ExitCode.BAD_INPUT


def test_unknown_configuration_is_named(files, capsys):
    assert pack(files, "--config", "huge") == ExitCode.BAD_INPUT
    assert "or a TOML file, not huge" in capsys.readouterr().err


@pytest.fixture
def rewrapped(files):
    """Paths of another device's key and of an image for it, made of the files' image."""
    other, moved = files[0].parent / "other", files[0].parent / "moved.bvi"
    assert main(["image", "keygen", "-o", str(other)]) == ExitCode.OK
    assert pack(files, "--identity", "cd" * 16, "--security-version", "9") == ExitCode.OK
    keys = ["--device-key", str(files[0]), "--new-device-key", str(other)]
    assert main(["image", "rewrap", str(files[2]), *keys, "-o", str(moved)]) == ExitCode.OK
    return other, moved


def test_rewrapped_image_is_the_same_vm_for_another_device(files, rewrapped, capsys):
    other, moved = rewrapped
    old = unpack(files[2].read_bytes(), root_key=read_key_file(files[0]))
    new = unpack(moved.read_bytes(), root_key=read_key_file(other))
    assert new.memories == old.memories
    for name in ("width", "height", "bytes_per_cluster", "security_version", "identity"):
        assert getattr(new.header, name) == getattr(old.header, name)
    arguments = ["image", "verify", str(moved), "--device-key", str(files[0])]
    assert main(arguments) == ExitCode.CHECK_FAILED
    assert "was not wrapped for this device" in capsys.readouterr().err


def test_rewrapping_repeats_no_key_and_no_nonce(files, rewrapped):
    # one key stream over the same contents, or one nonce for two tags, would show in the bytes
    old, new = files[2].read_bytes(), rewrapped[1].read_bytes()
    header = unpack(new, root_key=read_key_file(rewrapped[0])).header
    for name in ("wrap_nonce", "wrapped_key", "wrap_tag", "nonce"):
        assert getattr(header, name) not in old
    assert new[160:176] != old[160:176]


def test_an_image_of_another_device_or_a_changed_one_is_not_rewrapped(files, rewrapped, capsys):
    other, moved = rewrapped
    before = files[2].read_bytes()
    keys = ["--device-key", str(files[0]), "--new-device-key", str(other)]
    assert main(["image", "rewrap", str(moved), *keys, "-o", str(files[2])]) == 1
    assert "was not wrapped for this device" in capsys.readouterr().err
    assert files[2].read_bytes() == before
    files[2].write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert main(["image", "rewrap", str(files[2]), *keys, "-o", str(moved)]) == 1
    assert "are not what was packed" in capsys.readouterr().err


@pytest.mark.parametrize("migrate", [False, True])
def test_a_saved_image_moves_only_if_its_vm_may(files, capsys, migrate):
    key, other, image = files[0], files[0].parent / "other", files[2]
    main(["image", "keygen", "-o", str(other)])
    assert pack(files, *(["--migrate"] if migrate else [])) == ExitCode.OK
    packed = unpack(image.read_bytes(), root_key=read_key_file(key))
    assert packed.header.flags == (Flags.MIGRATE if migrate else 0)
    saved = seal(
        packed.memories,
        width=2,
        height=1,
        root_key=read_key_file(key),
        number=save_number(1, 1),
        flags=packed.header.flags,
        identity=packed.header.identity,
        security_version=0,
        generation=4,
        measurement=packed.measurement,
    )
    image.write_bytes(saved)
    assert main(["image", "verify", str(image), "--device-key", str(key)]) == ExitCode.OK
    assert "clusters, saved state 4, measurement " in capsys.readouterr().out
    moved = files[0].parent / "moved.bvi"
    keys = ["--device-key", str(key), "--new-device-key", str(other)]
    code = main(["image", "rewrap", str(image), *keys, "-o", str(moved)])
    if not migrate:
        assert code == ExitCode.CHECK_FAILED
        assert "permission to migrate" in capsys.readouterr().err
        assert not moved.exists()
        return
    assert code == ExitCode.OK
    assert main(["image", "inspect", str(moved)]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "flags              SAVED, MIGRATE, MIGRATED\n" in out
    assert "generation         4\n" in out
    assert main(["image", "measure", str(moved), "--device-key", str(other)]) == ExitCode.OK
    assert capsys.readouterr().out == f"{packed.measurement.hex()}\n"
