# SPDX-License-Identifier: Apache-2.0
"""Files that are there whole or not at all."""

import pytest

from blindvisor.sw.files import write_new, write_whole


def test_whole_file_replaces_an_old_one_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_whole_file_has_the_usual_permissions(tmp_path):
    usual, whole = tmp_path / "usual", tmp_path / "whole"
    usual.write_text("")
    write_whole(whole, b"")
    assert whole.stat().st_mode == usual.stat().st_mode


def test_new_file_has_the_permissions_asked_for(tmp_path):
    write_new(tmp_path / "file", b"secret", mode=0o600)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_new_file_never_replaces_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(FileExistsError):
        write_new(path, b"new", mode=0o600)
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["file"]


def test_missing_folder_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "file", b"")
