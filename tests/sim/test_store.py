# SPDX-License-Identifier: Apache-2.0
"""The file that keeps what a simulated machine remembers."""

import json

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.session import power_on
from blindvisor.sim.store import FileStore, StoreFileError
from blindvisor.sw.model.store import Row

CONFIG = MachineConfig(name="test", width=1, height=1, store_rows=3)
ROW = Row(identity=b"i" * 16, version=3, generation=9)


def test_what_is_written_is_there_at_the_next_power_on(tmp_path):
    path = tmp_path / "store"
    store, epoch = power_on(CONFIG, path, epoch=True)
    assert (epoch, store.rows) == (1, (None, None, None))
    store.write(1, ROW)
    store, epoch = power_on(CONFIG, path, epoch=True)
    assert (epoch, store.rows) == (2, (None, ROW, None))
    assert (store.find(b"i" * 16), store.find(b"j" * 16)) == (1, 0)
    store, epoch = power_on(CONFIG, path, epoch=False)
    assert epoch is None
    store.write(1, None)
    assert power_on(CONFIG, path, epoch=True)[1] == 4  # those without an epoch count too
    assert FileStore(path, 3).rows == (None, None, None)
    assert [item.name for item in tmp_path.iterdir()] == ["store"]


def test_without_a_file_each_power_on_is_the_first():
    for _ in range(2):
        store, epoch = power_on(CONFIG, None, epoch=True)
        assert (epoch, store.rows) == (1, (None, None, None))
        store.write(0, ROW)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a store of blindvisor"),
        ("[]", "must be a store of blindvisor"),
        ('{"format": 2}', "its format is 2, not 1"),
        ('{"format": 1, "epoch": 1, "rows": [{}, null, null]}', "identity"),
        ('{"format": 1, "epoch": 1, "rows": [null]}', "the 3 rows of this machine's store, not 1"),
    ],
)
def test_other_files_are_no_stores_and_are_kept(tmp_path, content, message):
    path = tmp_path / "store"
    path.write_text(content)
    with pytest.raises(StoreFileError, match=message):
        power_on(CONFIG, path, epoch=True)
    assert path.read_text() == content


def test_the_file_is_for_people_to_read(tmp_path):
    store, _ = power_on(CONFIG, tmp_path / "store", epoch=True)
    store.write(0, ROW)
    assert json.loads((tmp_path / "store").read_text()) == {
        "format": 1,
        "epoch": 1,
        "rows": [{"identity": "69" * 16, "version": 3, "generation": 9}, None, None],
    }
