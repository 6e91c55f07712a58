# SPDX-License-Identifier: Apache-2.0
"""``blindvisor attest``, as a verifier runs it."""

import json

import pytest

from blindvisor.sw.cli.app import ExitCode, main
from blindvisor.sw.image.format import Flags
from blindvisor.sw.image.keys import machine_identity, read_key_file, report_key
from blindvisor.sw.image.pack import pack, unpack
from blindvisor.sw.image.report import Report


@pytest.fixture
def files(tmp_path):
    """Device key, report key, image and report of its VM."""
    key, image, report = tmp_path / "device.key", tmp_path / "guest.bvi", tmp_path / "report"
    main(["image", "keygen", "-o", str(key)])
    root_key = read_key_file(key)
    image.write_bytes(pack([b"code"], width=1, height=1, root_key=root_key, identity=b"i" * 16))
    measurement = unpack(image.read_bytes(), root_key=root_key).measurement
    made = Report(
        flags=Flags(0),
        width=1,
        height=1,
        bytes_per_cluster=16,
        security_version=0,
        generation=0,
        identity=b"i" * 16,
        machine=machine_identity(root_key),
        measurement=measurement,
        nonce=b"n" * 32,
    )
    report.write_bytes(made.signed(report_key(root_key)))
    verifier = tmp_path / "report.key"
    assert main(["attest", "key", "--device-key", str(key), "-o", str(verifier)]) == ExitCode.OK
    return key, verifier, image, report


def verify(files, *options):
    key, verifier, _, report = files
    assert key.exists()
    return main(["attest", "verify", str(report), "--report-key", str(verifier), *options])


def test_the_key_is_derived_and_the_device_named(files, capsys, tmp_path):
    key, verifier, *_ = files
    name = machine_identity(read_key_file(key)).hex()
    assert read_key_file(verifier) == report_key(read_key_file(key))
    assert verifier.stat().st_mode & 0o777 == 0o600
    arguments = ["attest", "key", "--device-key", str(key), "--json", "-o"]
    assert main([*arguments, str(tmp_path / "other")]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"machine": name}
    assert main([*arguments, str(verifier)]) == ExitCode.BAD_INPUT  # never replaced
    assert capsys.readouterr().err == f"Error: {verifier}: file exists\n"


def test_a_report_that_fits_is_accepted(files, capsys):
    key, _, image, _ = files
    capsys.readouterr()
    machine = machine_identity(read_key_file(key)).hex()
    options = ["--image", str(image), "--device-key", str(key), "--machine", machine]
    assert verify(files, *options, "--nonce", "6e" * 32) == ExitCode.OK
    out, err = capsys.readouterr()
    assert f"nonce              {'6e' * 32}  as expected\n" in out
    assert "flags              none\n" in out
    assert err == ""
    assert verify(files, *options) == ExitCode.OK
    assert "without --nonce, an old report looks like a new one" in capsys.readouterr().err
    assert verify(files, "--nonce", "6e" * 32, "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["report"]["width"] == 1


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        ("--nonce", "00" * 32, "nonce"),
        ("--measurement", "00" * 32, "measurement"),
        ("--identity", "00" * 16, "identity"),
        ("--machine", "00" * 16, "machine"),
        ("--width", "2", "width"),
        ("--height", "2", "height"),
    ],
)
def test_a_field_that_differs_is_named(files, capsys, option, value, field):
    assert verify(files, option, value) == ExitCode.CHECK_FAILED
    assert f"{field} must be {value}, but the report says " in capsys.readouterr().err
    assert verify(files, option, value, "--json") == ExitCode.CHECK_FAILED
    assert json.loads(capsys.readouterr().out)["field"] == field


def test_a_changed_report_or_another_device_s_is_refused(files, capsys, tmp_path):
    key, _, _, report = files
    report.write_bytes(report.read_bytes()[:-1] + b"?")
    assert verify(files) == ExitCode.CHECK_FAILED
    assert "was changed, or was not made by the machine" in capsys.readouterr().err
    assert verify((key, key, None, report)) == ExitCode.CHECK_FAILED


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--nonce", "00"], "must be 64 hexadecimal digits, not '00'"),
        (["--identity", "zz" * 16], "must be 32 hexadecimal digits"),
        (["--image", "{image}"], "--image and --device-key must be given together"),
        (["--image", "{report}", "--device-key", "{key}"], "{report}: an image must have"),
        (
            ["--image", "{image}", "--device-key", "{key}", "--width", "2"],
            "--width must be that of the image",
        ),
        (["--report-key", "{report}"], "{report} must hold a key"),
    ],
)
def test_bad_input_is_told(files, capsys, options, message):
    names = dict(zip(("key", "verifier", "image", "report"), map(str, files), strict=True))
    assert verify(files, *(item.format(**names) for item in options)) == ExitCode.BAD_INPUT
    assert message.format(**names) in capsys.readouterr().err
