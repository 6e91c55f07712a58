"""Machine descriptions: what is refused, and with which words."""

import pytest

from blindvisor.hdl.config import (
    CONFIGURATIONS,
    ConfigurationError,
    MachineConfig,
    load_configuration,
)

USUAL = {"name": "usual", "width": 2, "height": 2}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 0}, "width must be from 1 to 16, not 0"),
        ({"height": 17}, "height must be from 1 to 16, not 17"),
        ({"width": "4"}, "width must be an integer, not '4'"),
        ({"width": True}, "width must be an integer, not True"),
        ({"cores": 5}, "cores must be from 1 to 4, not 5"),
        ({"memory_bytes": 3000}, "memory_bytes must be a power of two, not 3000"),
        ({"fifo_depth": 1}, "fifo_depth must be from 2 to 16, not 1"),
        ({"vms": 256}, "vms must be from 1 to 255, not 256"),
        ({"name": ""}, "name must be a non-empty string, not ''"),
        ({"multiply": 1}, "multiply must be true or false, not 1"),
        ({"core": "serv"}, "core must be one of minerva, vexriscv, not 'serv'"),
        (
            {"core": "vexriscv", "multiply": True},
            "multiply must be false with the core vexriscv",
        ),
        ({"loader_sboxes": 2}, "loader_sboxes must be from 4 to 64, not 2"),
        ({"loader_digit": 3}, "loader_digit must be a power of two, not 3"),
        (
            {"tty_channels": 0, "mailbox_channels": 0},
            (
                "tty_channels, mailbox_channels and attest_channels together must be from 1 to 16,"
                " not 0"
            ),
        ),
        ({"attest_channels": 2}, "attest_channels must be from 0 to 1, not 2"),
        ({"store_rows": 0}, "store_rows must be from 1 to 256, not 0"),
    ],
)
def test_wrong_value_is_refused(values, message):
    with pytest.raises(ConfigurationError) as caught:
        MachineConfig(**(USUAL | values))
    assert str(caught.value) == message


def test_named_configuration_is_found():
    assert load_configuration("reference") is CONFIGURATIONS["reference"]
    assert CONFIGURATIONS["reference"].clusters == 16


def test_file_may_build_on_a_named_configuration(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('base = "small"\ncores = 2\n')
    config = load_configuration(file)
    assert config == MachineConfig(
        **CONFIGURATIONS["small"].as_dict() | {"name": "mine", "cores": 2}
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("width = 2\nheight = 2\ncolour = 1\n", "unknown key 'colour'"),
        ("width = 2\n", "must give height"),
        ('base = "huge"\n', "base in .* must be one of reference"),
        ("width = \n", "must be TOML"),
        ("width = 2\nheight = 99\n", "height must be from 1 to 16, not 99"),
    ],
)
def test_bad_file_is_refused(tmp_path, text, message):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=message):
        load_configuration(file)


def test_missing_file_is_refused():
    with pytest.raises(ConfigurationError, match=r"must be one of reference, .* not nowhere"):
        load_configuration("nowhere")
