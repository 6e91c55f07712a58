# SPDX-License-Identifier: Apache-2.0
"""``blindvisor demo-save``: ends with 0 only if all is as it must be."""

import json

import pytest

from blindvisor.sim import lives
from blindvisor.sw.cli import main
from blindvisor.sw.image.report import Report
from blindvisor.sw.model import loader


def demo(folder, capsys, target="model"):
    code = main(["demo-save", "--on", target, "-o", str(folder), "--json"])
    result = json.loads(capsys.readouterr().out)
    return code, {row["what"]: row for row in result["checks"]}, result


@pytest.mark.parametrize("target", ["model", pytest.param("rtl", marks=pytest.mark.cocotb)])
def test_all_is_as_it_must_be(tmp_path, capsys, target):
    code, rows, result = demo(tmp_path, capsys, target)
    assert [row["what"] for row in rows.values() if not row["ok"]] == []
    assert (code, result["ok"]) == (0, True)
    assert len(result["checks"]) == 19
    check_with_the_command(tmp_path, capsys)
    again, _, _ = demo(tmp_path, capsys)  # with keys and stores of its own
    assert again == 0


def check_with_the_command(folder, capsys):
    """``attest verify`` accepts a machine's report, and with any byte of it changed does not."""
    device, verifier, report = (folder / name for name in ("machine-1.key", "key", "report"))
    data = (folder / "machine-1.report").read_bytes()
    assert main(["attest", "key", "--device-key", str(device), "-o", str(verifier)]) == 0
    verify = ["attest", "verify", str(report), "--report-key", str(verifier)]
    for at in range(-1, len(data)):
        changed = bytearray(data)
        if at >= 0:
            changed[at] ^= 1
        report.write_bytes(changed)
        assert main(verify) == (at >= 0), f"byte {at} changed"
    report.write_bytes(data)
    fields = Report.from_bytes(data)
    capsys.readouterr()
    for name in ("nonce", "measurement", "identity", "machine"):
        value = getattr(fields, name)
        assert main([*verify, f"--{name}", value.hex()]) == 0
        assert main([*verify, f"--{name}", value[::-1].hex()]) == 1
        assert f"{name} must be {value[::-1].hex()}" in capsys.readouterr().err
    for name in ("width", "height"):
        assert main([*verify, f"--{name}", str(getattr(fields, name))]) == 0
        assert main([*verify, f"--{name}", "7"]) == 1
    capsys.readouterr()


def test_a_machine_that_forgets_fails_the_demonstration(tmp_path, capsys, monkeypatch):
    class Forgetful(loader.Saver):
        def __init__(self, *, store, **options):
            super().__init__(store=store, **options)
            self._row = store.rows[self._place]

    monkeypatch.setattr("blindvisor.sw.model.monitor.Saver", Forgetful)
    code, rows, _ = demo(tmp_path, capsys)
    assert code == 1
    assert rows["power-off; the earlier saved state is loaded"]["got"] == "OK"


def test_a_report_of_anything_else_fails_the_demonstration(tmp_path, capsys, monkeypatch):
    signed = Report.signed
    monkeypatch.setattr(Report, "signed", lambda report, key: signed(report, key[::-1]))
    code, rows, _ = demo(tmp_path, capsys)
    assert code == 1
    assert rows["machine 1's report on it, for the verifier's nonce"]["got"] == "mac"


def test_a_vm_that_does_not_count_ends_it_with_a_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(lives, "PATIENCE", 5000)
    assert main(["demo-save", "--on", "model", "-o", str(tmp_path)]) == 1
    assert "the guest did not count within 5000 cycles" in capsys.readouterr().err


def test_a_machine_without_what_it_needs_is_refused(tmp_path, capsys):
    arguments = ["demo-save", "--config", "single", "-o", str(tmp_path)]
    assert main(arguments) == 2
    assert "single must have a mesh of 2 x 2 or more" in capsys.readouterr().err
