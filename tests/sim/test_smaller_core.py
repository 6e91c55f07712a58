# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""Guests built for Minerva on a machine with the smaller core, as Verilog."""

import json

import pytest

from blindvisor.sw.cli import main
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.guests.expected import matmul_checksum


@pytest.mark.cocotb
def test_guests_and_their_interrupts_run_unchanged(tmp_path, capsys):
    config = tmp_path / "smaller.toml"
    config.write_text('base = "small"\ncore = "vexriscv"\nloader_sboxes = 4\nloader_digit = 2\n')
    key = ["--device-key", str(tmp_path / "key")]
    assert main(["image", "keygen", "-o", str(tmp_path / "key")]) == 0
    images = []
    for name in ("interrupts", "matmul"):
        images.append(str(tmp_path / f"{name}.bvi"))
        size = ["--width", "2", "--height", "1"]
        guest = str(BIN / f"{name}.elf")
        assert main(["image", "pack", guest, *size, *key, "-o", images[-1]]) == 0
    capsys.readouterr()
    assert main(["run", *images, "--config", str(config), *key, "--on", "rtl", "--json"]) == 0
    interrupts, matmul = json.loads(capsys.readouterr().out)["vms"]
    assert [(vm["exit"], vm["faults"]) for vm in (interrupts, matmul)] == [(0, []), (0, [])]
    for kind in ("timer", "software", "channel"):
        assert f"{kind} interrupt: seen" in interrupts["output"]
    assert f"checksum {matmul_checksum(2, 1):#010x}" in matmul["output"]
