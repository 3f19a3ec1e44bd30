"""Files are opened: form and encoding recognised, problems with the whole file told in one sentence."""

import hashlib
import io
import os
import random
import threading
from pathlib import Path

import pytest

from provisioner.errors import FileError
from provisioner.files import Format, open_input, read_entries
from provisioner.records import Entry
from tests.unit.files.reading import entries, read, xlsx

EXAMPLES = Path(__file__).parents[3] / "examples"

RUSSIAN = ["Иван Петров", "Ольга Смирнова", "Пётр Васильев", "Юлия Щербакова", "Фёдор Жуков", "Анна Цой"]
POLISH = ["Łukasz Wiśniewski", "Grażyna Żółć", "Małgorzata Dąbrowska", "Stanisław Woźniak"]
UKRAINIAN = ["Андрій Шевченко", "Їжакевич Юлія", "Євген Бойко", "Наталія Кравченко"]


def listed(names: list[str]) -> str:
    rows = [f"user{index},{name}" for index, name in enumerate(names)]
    return "\n".join(["login,name", *rows, ""])


def names(path: Path, **options: str) -> list[str]:
    found, problems = read(path, **options)  # type: ignore[arg-type]
    assert problems == []
    return [entry.name for entry in found]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.csv"


def test_the_examples_can_be_read() -> None:
    assert len(entries(EXAMPLES / "users.csv")) == 10
    assert len(entries(EXAMPLES / "users.yaml")) == 4


@pytest.mark.parametrize(
    ("encoding", "people"),
    [
        ("utf-8", RUSSIAN + POLISH),
        ("utf-8-sig", RUSSIAN + POLISH),
        ("utf-16", RUSSIAN + POLISH),
        ("utf-16-le", RUSSIAN + POLISH),
        ("utf-16-be", RUSSIAN + POLISH),
        ("utf-32", RUSSIAN + POLISH),
        ("cp1251", RUSSIAN),
        ("koi8-r", RUSSIAN),
        ("cp1251", UKRAINIAN),
        ("koi8-u", UKRAINIAN),
        ("cp1250", POLISH),
        ("iso8859-2", POLISH),
    ],
)
@pytest.mark.parametrize("change", [str, str.upper, str.lower])
def test_the_encoding_of_a_list_of_names_is_recognised(
    path: Path, encoding: str, people: list[str], change: type[str]
) -> None:
    changed = [change(name) for name in people]
    path.write_bytes(listed(changed).encode(encoding))
    assert names(path) == changed


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_short_lists_of_russian_names_are_read_rightly_or_not_at_all(path: Path, encoding: str) -> None:
    first, last = zip(*(name.split() for name in RUSSIAN), strict=True)
    chance = random.Random(7)
    read_rightly = 0
    for _ in range(60):
        people = [f"{chance.choice(first)} {chance.choice(last)}" for _ in range(chance.randint(1, 3))]
        path.write_bytes(listed(people).encode(encoding))
        try:
            assert names(path) == people
        except FileError:
            continue
        read_rightly += 1
    assert read_rightly > 50


@pytest.mark.parametrize(
    ("encoding", "people"),
    [
        ("cp1253", ["Γιώργος Παπαδόπουλος", "Ελένη Αντωνίου"]),
        ("cp1252", ["François Müller", "Jørgen Åse"]),
        ("cp1250", ["Jiří Dvořák", "Černý Růžička"]),
        ("cp866", RUSSIAN),
        ("iso8859-5", RUSSIAN),
        ("shift-jis", ["佐藤太郎", "鈴木花子"]),
    ],
)
def test_an_encoding_that_is_not_plain_is_asked_for_and_read_when_named(
    path: Path, encoding: str, people: list[str]
) -> None:
    path.write_bytes(listed(people).encode(encoding))
    with pytest.raises(FileError, match=r"its encoding cannot be told.*--encoding"):
        read(path)
    assert names(path, encoding=encoding) == people


def test_a_guess_is_marked_as_one(path: Path) -> None:
    for encoding, guessed in (("utf-8", False), ("cp1251", True)):
        path.write_bytes(listed(RUSSIAN).encode(encoding))
        with open_input(path) as opened:
            assert (opened.encoding, opened.guessed) == (encoding, guessed)


def test_an_encoding_shows_however_late_in_a_file(path: Path) -> None:
    rows = "".join(f"u{index},{'x' * 100}\n" for index in range(20_000))
    path.write_bytes(f"login,name\n{rows}".encode() + listed(RUSSIAN).encode("koi8-r"))
    found, _ = read(path)
    assert found[0].name == "x" * 100
    with open_input(path) as opened:
        assert opened.encoding == "koi8-r"


def test_text_that_is_not_in_the_named_encoding_is_told_with_its_line(path: Path) -> None:
    path.write_bytes(listed(RUSSIAN).encode("cp1251"))
    with pytest.raises(FileError, match=r"users\.csv:2: is not UTF-8 text; name its encoding"):
        read(path, encoding="utf8")


@pytest.mark.parametrize("encoding", ["no-such", "base64", "rot13", "hex", "a\0b"])
def test_an_encoding_that_python_does_not_know_is_refused(path: Path, encoding: str) -> None:
    path.write_text("login,name\n")
    with pytest.raises(FileError, match="no such text encoding"):
        read(path, encoding=encoding)


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("users.csv", b"x", Format.CSV),
        ("users.TSV", b"x", Format.CSV),
        ("users.yml", b"x", Format.YAML),
        ("users.YAML", b"x", Format.YAML),
        ("users.ndjson", b"x", Format.JSONL),
        ("users.xlsx", b"x", Format.XLSX),
        ("users", b'\n{"login": 1}', Format.JSONL),
        ("users.txt", b"- login: i", Format.YAML),
        ("users", b"users:\n", Format.YAML),
        ("users", b"\xef\xbb\xbfName;Login\n", Format.CSV),
        ("users", "login\tname\n".encode("utf-16"), Format.CSV),
        ("users", xlsx([["login"]]), Format.XLSX),
    ],
)
def test_the_form_is_told_by_the_name_or_else_by_the_content(
    tmp_path: Path, name: str, content: bytes, format: Format
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with open_input(path) as opened:
        assert opened.format is format


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("users", b"", "its form cannot be told; name it with --format"),
        ("users.txt", b"hello\n", "its form cannot be told"),
        ("users.csv", xlsx([["login"]]), "is a spreadsheet .XLSX. inside"),
        ("users.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "is an old or encrypted Excel file"),
    ],
)
def test_a_file_of_no_known_form_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError, match=said):
        open_input(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"none\.csv: cannot be read: No such file"):
        open_input(tmp_path / "none.csv")
    with pytest.raises(FileError, match="cannot be read: Is a directory"):
        open_input(tmp_path)


def test_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = listed(RUSSIAN).encode("koi8-r")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    with open_input(None) as opened:
        found = list(read_entries(opened))
    assert [entry.name for entry in found if isinstance(entry, Entry)] == RUSSIAN
    assert (opened.name, opened.sha256) == ("-", hashlib.sha256(data).hexdigest())


def test_a_pipe_is_read_as_it_comes_and_a_late_change_of_encoding_is_told(tmp_path: Path) -> None:
    pipe = tmp_path / "users.csv"
    os.mkfifo(pipe)
    data = b"login,name\n" + b"".join(b"u%d,%s\n" % (n, b"x" * 100) for n in range(20_000)) + b"v,\xcf\xf0\n"
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    with pytest.raises(FileError, match=r"users\.csv:20002: is not UTF-8"), open_input(pipe) as opened:
        list(read_entries(opened))
    writer.join()


@pytest.mark.parametrize("name", ["users.csv", "users.jsonl", "users.yaml", "users.xlsx"])
def test_the_sum_is_that_of_all_bytes_also_where_reading_ended_early(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(xlsx([["a"]]) if name.endswith("xlsx") else b"- [\n\x01\n" + b"x\n" * 100_000)
    with open_input(path) as opened:
        list(read_entries(opened))
        assert opened.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
