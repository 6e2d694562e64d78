"""Files and folders are replaced as a whole, or not at all."""

import errno
import os
from pathlib import Path

import pytest

from equipoise.errors import RunError
from equipoise.files import read_toml, replacing, replacing_folder, write_text


def test_a_file_is_replaced_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with replacing(target) as file:
        file.write(b"first")
    with pytest.raises(ZeroDivisionError), replacing(target) as file:
        file.write(b"second" * (1 // 0))
    assert target.read_bytes() == b"first"
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_is_replaced_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"
    with replacing_folder(target) as part:
        (part / "a.txt").write_text("first")
        assert not target.exists()
    with pytest.raises(ZeroDivisionError), replacing_folder(target) as part:
        (part / "a.txt").write_text("second" * (1 // 0))
    assert (target / "a.txt").read_text() == "first"
    with replacing_folder(target) as part:
        (part / "b.txt").write_text("third")
    assert [path.name for path in target.iterdir()] == ["b.txt"]
    assert list(target.parent.iterdir()) == [target]


def test_what_a_link_names_is_replaced_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("first")
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to("real.txt")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link.txt", "second")
    with replacing_folder(tmp_path / "link") as part:
        (part / "a.txt").write_text("third")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "second"
    assert (tmp_path / "real" / "a.txt").read_text() == "third"
    assert len(list(tmp_path.iterdir())) == 4


def test_settings_may_begin_with_the_mark_that_windows_editors_write(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf[train]\r\nsteps = 60\r\n")
    assert read_toml(tmp_path / "a.toml", "settings") == {"train": {"steps": 60}}


def test_a_folder_that_cannot_be_replaced_is_still_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "a.txt").write_text("first")
    replace = os.replace

    def full(source: Path, place: Path) -> None:
        if source.suffix == ".part":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, place)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"), replacing_folder(target) as part:
        (part / "b.txt").write_text("second")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert (target / "a.txt").read_text() == "first"


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 255)
    write_text(path, "text")
    assert path.read_text() == "text"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="too long") as error:
        write_text(tmp_path / ("b" * 256), "text")
    assert error.value.filename2 == str(tmp_path / ("b" * 256))
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_of_writing_has_the_name_of_its_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as error, replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(tmp_path / "a.txt")
    with pytest.raises(OSError, match="No space left") as error, replacing_folder(tmp_path / "export"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(tmp_path / "export")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_moved_is_not_made_again(tmp_path: Path) -> None:
    for path in (tmp_path / "run" / "a.txt", tmp_path / "run" / "deeper" / "still" / "a.txt"):
        with pytest.raises(RunError, match=r"run was moved or removed; move it back"):
            write_text(path, "text", within=tmp_path / "run")
    assert not list(tmp_path.iterdir())
    (tmp_path / "run").mkdir()
    write_text(tmp_path / "run" / "deeper" / "still" / "a.txt", "text", within=tmp_path / "run")
    assert (tmp_path / "run" / "deeper" / "still" / "a.txt").read_text() == "text"
