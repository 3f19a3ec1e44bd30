"""An export says the same when it is read again, in every form and for every valid user."""

import io
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.errors import FileError
from provisioner.files import Format, write_users
from provisioner.records import Credentials, Entry, Extension, Kind, User, login_key, parse_login
from provisioner.records.fields import parse_email, parse_name
from provisioner.secret import Secret
from tests.unit.files.reading import entries

WRITTEN = [Format.CSV, Format.YAML, Format.JSONL]
CREDENTIALS = Credentials(md5="0" * 32, sha256="1" * 64, realm="asterisk", plain=Secret("hunter2-hunter2"))


def valid(texts: st.SearchStrategy[str], rule: object) -> st.SearchStrategy[str]:
    def kept(text: str) -> str | None:
        try:
            return rule(text)  # type: ignore[operator, no-any-return]
        except ValueError:
            return None

    return texts.map(kept).filter(bool)  # type: ignore[return-value]


LETTERS = st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs", "Cf"])
LOGINS = valid(
    st.one_of(
        st.text(LETTERS, min_size=1, max_size=64),
        st.sampled_from(
            ["null", "no", "0070", "-", "-x", "@", "+1", "Иван", "a.b", "1e3", "users", "---", "_"]
        ),
    ),
    parse_login,
)
NAMES = valid(
    st.one_of(
        st.text(LETTERS, min_size=1, max_size=60),
        st.sampled_from(
            ["=1+1", "+7", "-1", "@x", "a,b", 'a"b', '"', "'", "a;b", "a: b", "a #b", "# a", "- a", "&a",
             "*a", "!a", "%a", "{a}", "[a]", "null", "~", "Yes", "a\\b", "sep=;", "|", ">", "?", "NULL",
             "2020-01-01", "\u200dx", "😀", "x:", "0x1F", "1_000"]
        ),
    ),
    parse_name,
)  # fmt: skip
EMAILS = st.one_of(st.none(), st.sampled_from(["a@b.com", "Иван@пример.рф", "o'neil@b.com", "-@b.com"]))


@st.composite
def users(draw: st.DrawFn) -> list[User]:
    logins = draw(st.lists(LOGINS, max_size=5, unique_by=login_key))
    numbers = iter(
        draw(st.lists(st.from_regex(r"[0-9]{2,15}", fullmatch=True), min_size=20, max_size=20, unique=True))
    )
    return [draw(user(login, numbers)) for login in logins]


@st.composite
def user(draw: st.DrawFn, login: str, numbers: object) -> User:
    own = [next(numbers) for _ in range(draw(st.integers(1, 3)))]  # type: ignore[call-overload]
    lines = st.integers(1, 99)
    labels = draw(st.lists(st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True), max_size=3, unique=True))
    email = draw(EMAILS)
    return User(
        login=login,
        name=draw(NAMES),
        email=parse_email(email),
        active=draw(st.booleans()),
        webrtc=draw(st.booleans()),
        extensions=(
            Extension(own[0], Kind.PRIMARY, draw(lines), CREDENTIALS),
            *(Extension(number, Kind.ADDITIONAL, draw(lines), CREDENTIALS) for number in own[1:]),
            *(
                Extension(draw(st.sampled_from(own)), Kind.ALIAS, draw(lines), CREDENTIALS, label)
                for label in labels
            ),
        ),
    )


def said(entry: Entry) -> tuple[object, ...]:
    parts = sorted((part.number, part.kind, part.label or "", part.lines) for part in entry.extensions)
    return entry.login, entry.name, entry.email, entry.active, entry.webrtc, entry.complete, parts


def meant(user: User) -> tuple[object, ...]:
    parts = sorted((part.number, part.kind, part.label or "", part.lines) for part in user.extensions)
    return user.login, user.name, user.email or "", user.active, user.webrtc, True, parts


@pytest.mark.parametrize("format", WRITTEN)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(records=users())
def test_what_is_written_says_the_same_when_it_is_read(
    tmp_path_factory: pytest.TempPathFactory, format: Format, records: list[User]
) -> None:
    path = tmp_path_factory.mktemp("export") / f"users.{format}"
    write_users(records, path, format)
    assert [said(entry) for entry in entries(path)] == [meant(record) for record in records]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(records=users())
def test_written_yaml_means_the_same_to_other_readers(records: list[User]) -> None:
    stream = io.StringIO()
    write_users(records, stream, Format.YAML)
    loaded = yaml.safe_load(stream.getvalue())
    assert [(each["login"], each["name"], each["active"], each["webrtc"]) for each in loaded] == [
        (record.login, record.name, record.active, record.webrtc) for record in records
    ]


IVAN = User("ivan", "=Ivan", None, True, (Extension("0070", Kind.PRIMARY, 2, CREDENTIALS),))


@pytest.mark.parametrize("format", WRITTEN)
def test_an_export_of_nobody_asks_for_nobody(tmp_path: Path, format: Format) -> None:
    path = tmp_path / f"users.{format}"
    write_users([], path, format)
    assert entries(path) == []


@pytest.mark.parametrize("format", WRITTEN)
def test_no_secret_and_no_digest_is_written(format: Format) -> None:
    stream = io.StringIO()
    write_users([IVAN], stream, format)
    assert not any(part in stream.getvalue() for part in ("hunter2", "0" * 32, "1" * 64, "secret"))


def test_a_failed_export_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("what was there")

    def broken() -> object:
        yield IVAN
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_users(broken(), path, Format.CSV)  # type: ignore[arg-type]
    assert path.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"no-folder/users\.csv: cannot be written: No such file"):
        write_users([IVAN], tmp_path / "no-folder" / "users.csv", Format.CSV)


def test_a_spreadsheet_is_not_written() -> None:
    with pytest.raises(FileError, match="xlsx is only read; export as csv, yaml, jsonl"):
        write_users([IVAN], io.StringIO(), Format.XLSX)
