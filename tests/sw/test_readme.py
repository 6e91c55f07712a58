# SPDX-License-Identifier: Apache-2.0
"""The example of the page on software is code that runs."""

import re
from pathlib import Path

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack
from blindvisor.sw.model.link import ModelLink

SOFTWARE = Path(__file__).parents[2] / "sw"


def test_example_boots_a_guest(tmp_path, monkeypatch, capsys, root_key):
    guest = read_guest(
        SOFTWARE / "guests" / "bin" / "hello.elf", width=2, height=2, memory_bytes=16384
    )
    monkeypatch.chdir(tmp_path)
    Path("guest.bvi").write_bytes(pack(guest, width=2, height=2, root_key=root_key))
    example = re.search(r"```python\n(.*?)```", (SOFTWARE / "README.md").read_text(), re.S)
    assert example is not None
    names = {
        "CONFIGURATIONS": CONFIGURATIONS,
        "Hypervisor": Hypervisor,
        "ModelLink": ModelLink,
        "Path": Path,
        "key": root_key,
    }
    exec(compile(example[1], "README.md", "exec"), names)
    assert "hello" in capsys.readouterr().out
