"""Writing beside files of others, and telling what differs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from provisioner.conf import DatabaseAccess, FileState, diff_dir, render, write
from provisioner.errors import ConfError, FileNotOurs
from provisioner.secret import Secret
from provisioner.settings import Settings


@pytest.fixture(scope="session")
def files(settings: Settings, access: DatabaseAccess) -> dict[str, str]:
    return render(settings, settings.nodes[0], access)


def test_what_was_written_is_there_and_a_second_time_changes_nothing(
    tmp_path: Path, files: dict[str, str]
) -> None:
    folder = tmp_path / "new" / "asterisk"
    first = write(folder, files)
    assert first.written == tuple(sorted(files))
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == files
    second = write(folder, files)
    assert (second.written, second.unchanged, second.removed) == ((), tuple(sorted(files)), ())
    assert not second


def test_files_with_secrets_are_not_for_everybody(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, files)
    open_to_all = {
        path.name for path in tmp_path.iterdir() if stat.S_IMODE(path.stat().st_mode) & stat.S_IROTH
    }
    assert open_to_all == files.keys() - {"manager.conf", "pjsip.conf", "res_pgsql.conf"}
    assert all("secret" not in files[name] or "; " in files[name] for name in open_to_all)


def test_a_file_takes_the_group_of_its_folder(tmp_path: Path, files: dict[str, str]) -> None:
    groups = [group for group in (os.getgroups() or [os.getgid()]) if group != tmp_path.stat().st_gid]
    group = 12345 if os.getuid() == 0 else (groups or [tmp_path.stat().st_gid])[0]
    os.chown(tmp_path, -1, group)
    write(tmp_path, files)
    assert {path.stat().st_gid for path in tmp_path.iterdir()} == {group}


def test_foreign_and_edited_files_are_all_named_and_nothing_is_written(
    tmp_path: Path, files: dict[str, str]
) -> None:
    write(tmp_path, files)
    (tmp_path / "pjsip.conf").write_text("[mine]\n")
    with (tmp_path / "rtp.conf").open("a") as file:
        file.write("strictrtp = no\n")
    (tmp_path / "cdr.conf").unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(FileNotOurs, match=r"pjsip\.conf.*not made.*rtp\.conf.*edited.*--force"):
        write(tmp_path, files)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_force_overwrites_them(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "pjsip.conf").write_text("[mine]\n")
    assert "pjsip.conf" in write(tmp_path, files, force=True).written
    assert diff_dir(tmp_path, files) == []


def test_an_untouched_file_of_older_settings_is_replaced_without_force(
    tmp_path: Path, settings: Settings, access: DatabaseAccess, files: dict[str, str]
) -> None:
    older = settings.model_copy(
        update={"asterisk": settings.asterisk.model_copy(update={"contact_sweep": 30})}
    )
    write(tmp_path, render(older, settings.nodes[0], access))
    assert write(tmp_path, files).written == ("pjsip.conf",)


def test_files_of_the_other_driver_go_when_the_driver_changes(
    tmp_path: Path, settings: Settings, access: DatabaseAccess, files: dict[str, str]
) -> None:
    odbc = settings.model_copy(update={"asterisk": settings.asterisk.model_copy(update={"driver": "odbc"})})
    write(tmp_path, render(odbc, settings.nodes[0], access))
    (tmp_path / "keys.conf").write_text("; not ours, and none of our business\n")
    assert [d.name for d in diff_dir(tmp_path, files) if d.state is FileState.LEFT_OVER] == [
        "odbc.ini",
        "odbcinst.ini",
        "res_odbc.conf",
    ]
    assert write(tmp_path, files).removed == ("odbc.ini", "odbcinst.ini", "res_odbc.conf")
    assert (tmp_path / "keys.conf").exists()


def test_a_difference_shows_no_secret_but_says_where_one_changed(
    tmp_path: Path, settings: Settings, access: DatabaseAccess
) -> None:
    old = settings.nodes[0].model_copy(update={"secret": Secret("the old one")})
    new = settings.nodes[0].model_copy(update={"secret": Secret("the new one")})
    write(tmp_path, render(settings, old, access))
    (diff,) = diff_dir(tmp_path, render(settings, new, access))
    assert (diff.name, diff.state) == ("manager.conf", FileState.CHANGED)
    assert "the old one" not in diff.text
    assert "the new one" not in diff.text
    assert "-secret = ***" in diff.text
    assert "+secret = *** (changed)" in diff.text


def test_secrets_of_a_foreign_file_are_masked_too(tmp_path: Path, files: dict[str, str]) -> None:
    foreign = "[admin]\nsecret=hunter2\n;oldsecret => hunter3\npassword_digest=MD5:hunter4\n"
    (tmp_path / "manager.conf").write_text(foreign)
    (diff,) = (d for d in diff_dir(tmp_path, files) if d.name == "manager.conf")
    assert diff.state is FileState.FOREIGN
    assert "hunter" not in diff.text
    assert "ami secret" not in diff.text


def test_a_file_that_is_no_text_is_shown_and_kept(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "acl.conf").write_bytes(b"\xff\xfe binary \x00\n")
    (diff,) = (d for d in diff_dir(tmp_path, files) if d.name == "acl.conf")
    assert diff.state is FileState.FOREIGN
    with pytest.raises(FileNotOurs):
        write(tmp_path, files)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfError, match="file"):
        write(tmp_path / "file" / "asterisk", files)
