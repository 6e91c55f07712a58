# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""``blindvisor run``: the same guests on RTL and on the model, and what it refuses."""

import json

import pytest

from blindvisor.sw.cli import main
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.guests.expected import matmul_checksum


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """A folder with a device key and two guests for it, each 2 x 1 clusters."""
    folder = tmp_path_factory.mktemp("device")
    assert main(["image", "keygen", "-o", str(folder / "key")]) == 0
    for name in ("hello", "matmul", "counter"):
        assert pack(folder, name) == 0
    return folder


def pack(folder, name):
    guest, image, key = BIN / f"{name}.elf", folder / f"{name}.bvi", folder / "key"
    size = ["--width", "2", "--height", "1"]
    return main(["image", "pack", str(guest), *size, "--device-key", str(key), "-o", str(image)])


def run(device, *arguments, names=("hello", "matmul")):
    images = [str(device / f"{name}.bvi") for name in names]
    key = ["--device-key", str(device / "key")]
    return main(["run", *images, "--config", "small", *key, *arguments])


@pytest.mark.parametrize("target", ["model", pytest.param("rtl", marks=pytest.mark.cocotb)])
def test_two_guests_run_side_by_side(device, capsys, target):
    assert run(device, "--on", target, "--place", "0,1", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["ok"]
    hello, matmul = result["vms"]
    assert [(vm["x"], vm["y"], vm["exit"], vm["faults"]) for vm in (hello, matmul)] == [
        (0, 1, 0, []),
        (0, 0, 0, []),
    ]
    assert "hello from a VM of 2 x 1 clusters" in hello["output"]
    assert f"checksum {matmul_checksum(2, 1):#010x}" in matmul["output"]
    assert 0 < hello["run_cycles"] < matmul["run_cycles"] <= result["run_cycles"]


def test_what_guests_print_carries_their_name(device, capsys):
    assert run(device, "--on", "model", names=["hello", "hello"]) == 0
    out = capsys.readouterr().out
    assert "vm1| hello from a VM" in out
    assert "vm2| hello from a VM" in out
    assert "vm2| [exit 0]" in out


def test_a_guest_that_does_not_end_fails_the_run(device, capsys):
    assert run(device, "--on", "model", "--cycles", "3000") == 1
    assert "still running" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "names", "message"),
    [
        ([], ["hello"] * 5, "small runs at most 4 images"),
        (["--place", "0,0", "--place", "1,0"], ["hello"], "2 places were given for 1 images"),
        (["--place", "1,0"], ["hello"], "BAD_RECTANGLE"),
        (["--place", "0,0", "--place", "0,0"], ["hello", "hello"], "OCCUPIED"),
        (["--place", "1;0"], ["hello"], "a place must be x,y with whole numbers, not 1;0"),
        ([], ["hello", "hello", "hello"], "free"),
        (["--vcd", "t.vcd"], ["hello"], "--vcd needs --on rtl"),
        (["--save", "s"], ["hello"], "--save needs --store: the device must remember"),
        (["--save", "s", "--store", "{}"], ["hello"] * 2, "with one image, not with 2"),
        (["--save", "s", "--store", "{}", "--no-mailbox"], ["hello"], "--save needs a mailbox"),
        (["--save", "s", "--store", "{}"], ["hello"], "vm1 has ended before it could be saved"),
        (["--store", "{key}"], ["hello"], "key must be a store of blindvisor: "),
    ],
)
def test_what_cannot_be_run_is_one_sentence(device, capsys, tmp_path, arguments, names, message):
    places = {"key": device / "key"}
    given = [item.format(tmp_path / "store", **places) for item in arguments]
    assert run(device, "--on", "model", *given, names=names) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("target", ["model", pytest.param("rtl", marks=pytest.mark.cocotb)])
def test_a_saved_vm_goes_on_in_another_run_and_its_older_states_do_not(
    device, capsys, tmp_path, target
):
    store = ["--on", target, "--store", str(tmp_path / "store")]
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    save = ["--cycles", "100000", "--json", "--save"]
    assert run(device, *store, *save, f"{first}.bvi", names=["counter"]) == 0
    (vm,) = json.loads(capsys.readouterr().out)["vms"]
    assert vm["saved"] == f"{first}.bvi"
    count = int(vm["output"].splitlines()[-1].removeprefix("count "))
    moved = ["--place", "0,1"]
    assert run(device, *store, *moved, *save, f"{second}.bvi", names=[first]) == 0
    (vm,) = json.loads(capsys.readouterr().out)["vms"]
    assert (vm["x"], vm["y"]) == (0, 1)
    assert vm["output"].splitlines()[:2] == ["counter: resumed", f"count {count + 1}"]
    assert run(device, *store, names=[first]) == 2
    assert "IMAGE_OLD" in capsys.readouterr().err
    assert run(device, *store, "--cycles", "50000", "--json", names=[second]) == 1  # it counts on
    output = json.loads(capsys.readouterr().out)["vms"][0]["output"]
    assert output.startswith("counter: resumed\n")


def test_a_guest_that_does_not_answer_is_not_saved(device, capsys, tmp_path):
    assert pack(device, "victim") == 0
    out = tmp_path / "out.bvi"
    store = ["--store", str(tmp_path / "store")]
    save = ["--save", str(out), "--cycles", "1000"]
    assert run(device, "--on", "model", *store, *save, names=["victim"]) == 2
    assert "the guest did not answer on mailbox channel 4" in capsys.readouterr().err
    assert not out.exists()


def test_an_image_for_another_device_is_refused(device, tmp_path, capsys):
    assert main(["image", "keygen", "-o", str(tmp_path / "key")]) == 0
    assert pack(tmp_path, "hello") == 0
    assert run(device, "--on", "model", names=[str(tmp_path / "hello")]) == 2
    assert "IMAGE_KEY" in capsys.readouterr().err


def test_a_truncated_image_is_refused_before_anything_is_built(device, tmp_path, capsys):
    (tmp_path / "short.bvi").write_bytes((device / "hello.bvi").read_bytes()[:100])
    assert run(device, names=[str(tmp_path / "short")]) == 2
    assert "short.bvi" in capsys.readouterr().err
