"""CSV files and sheets: one row an extension, every fault with its line and column."""

import random
from pathlib import Path

import pytest

from provisioner.errors import FileError
from provisioner.records import Kind, Part
from provisioner.secret import Secret
from tests.unit.files.reading import entries, problems, read, xlsx


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "users.csv"


def test_a_column_that_is_not_there_is_not_spoken_of(path: Path) -> None:
    path.write_text("login,name\nivan,Иван\n", encoding="utf-8")
    (entry,) = entries(path)
    assert (entry.login, entry.name, entry.email, entry.active, entry.line) == ("ivan", "Иван", None, None, 2)
    assert entry.extensions == (Part(number=None, kind=Kind.PRIMARY),)
    assert not entry.complete


def test_an_empty_cell_means_no_address_and_says_nothing_of_the_other_fields(path: Path) -> None:
    path.write_text("login,name,email,active,webrtc,number,kind,label,lines,secret\nivan,Ivan,,,,,,,,\n")
    (entry,) = entries(path)
    assert (entry.email, entry.active, entry.webrtc) == ("", None, None)
    assert entry.extensions == (Part(number=None, kind=Kind.PRIMARY),)


def test_all_columns_are_read_in_any_order_case_and_spacing(path: Path) -> None:
    path.write_text(
        " Lines ;NUMBER;secret;Login;Active;email;WebRTC;name\n2;0070; s p ; ivan ;NO;i@b.com; yes ;Ivan \n"
    )
    (entry,) = entries(path)
    assert (entry.login, entry.name, entry.email, entry.active) == ("ivan", "Ivan", "i@b.com", False)
    assert entry.webrtc is True
    assert entry.extensions == (Part("0070", Kind.PRIMARY, None, 2, Secret(" s p ")),)


def test_extensions_belong_to_their_users_in_any_order_of_rows(path: Path) -> None:
    header = "login,name,number,kind,label,lines\n"
    rows = [
        "ivan,Ivan,7001,,,2\n",
        "IVAN,,7009,additional,,\n",
        "ivan,Ivan,7005,additional,,3\n",
        "ivan,,7001,alias,work,\n",
        "ivan,,7001,,home,\n",
        "anna,Anna,7002,primary,,\n",
    ]
    path.write_text(header + "".join(rows))
    wanted = {entry.login: [(p.number, p.kind, p.label) for p in entry.extensions] for entry in entries(path)}
    assert wanted["ivan"] == [
        ("7001", Kind.PRIMARY, None),
        ("7001", Kind.ALIAS, "home"),
        ("7001", Kind.ALIAS, "work"),
        ("7005", Kind.ADDITIONAL, None),
        ("7009", Kind.ADDITIONAL, None),
    ]
    for seed in range(10):
        random.Random(seed).shuffle(rows)
        path.write_text(header + "".join(rows))
        found = entries(path)
        assert {e.login: [(p.number, p.kind, p.label) for p in e.extensions] for e in found} == wanted
        assert all(entry.complete for entry in found)
        lines = {part.line for entry in found for part in entry.extensions if part.line} | {
            entry.line for entry in found
        }
        assert lines == set(range(2, 8))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["1: login and name: the file is empty; its first row names the columns: login,name,..."]),
        ("login,email\nivan,\n", ["1: name: no such column"]),
        ("7001,Ivan\n", ["1: login and name: no such column"]),
        ("login,name,nmae,e-mail\ni,I,,\n", ["1: nmae: is not known; did you mean name?",
                                             "1: e-mail: is not known; did you mean email?"]),
        ("login,name,Name\ni,I,J\n", ["1: name: is the name of two columns"]),
        ("login,name\ni,I,J\nj\nk,K\n", ["2: row: has 3 cells, and the header has 2", "3: row: has 1 cell"]),
        ("login,name,\ni,I,\nj,J,x\n", ["3: row: has a value in a column without a name"]),
        ("login,name\ni,I\nj,J\nI,K\n", ["4: login: 'I' is given twice, in line 2 already"]),
        ("login,name,number\ni,I,7001\nj,J,7001\n", ["3: number: 7001 is given twice, in line 2 already"]),
        ("login,name\ni,\n,J\na b,K\n", ["2: name: '' is empty", "3: login: is empty", "4: login: 'a b'"]),
        ("login,name,number,lines\ni,I,7,0\n", ["2: number: '7' is not", "2: lines: '0' is not"]),
        ('login,name\ni,"I\nj,J\n', ["2: row: a quote is opened here and never closed"]),
        ('login,name\ni,"I"x\nj,J\nk,\n', ["2: row: text follows a closing quote", "4: name: '' is empty"]),
        ('login,name,email\ni,"I\nJ",\nj,J,x\n', ["2: name: 'I\\nJ' holds", "4: email: 'x' is not"]),
        ("login,name\ni,I\0\n", ["2: name: 'I\\x00' holds a control character"]),
        ("login,name,kind\ni,,alias\n", ["2: login: 'i' has no primary row"]),
        ("login,name,kind\ni,I,\ni,I,\n", ["3: login: 'i' is given twice, in line 2 already"]),
        ("login,name,kind,label\ni,J,,home\ni,I,,\n", ["2: name: 'J' is not what line 3 says of"]),
        ("login,name,kind\ni,I,\ni,,boss\n", ["3: kind: 'boss' is not a kind"]),
        ("login,name,label,number\ni,I,,7001\ni,,a,\ni,,a,7001\n", ["4: label: 7001-a is given twice"]),
        ("login,name,label\ni,I,\ni,,A B\n", ["3: label: 'A B' is not a label"]),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_and_column(path: Path, text: str, said: list[str]) -> None:
    path.write_text(text, newline="")
    found = problems(path)
    assert len(found) == len(said)
    for one, beginning in zip(found, said, strict=True):
        assert one.startswith(beginning)


def test_every_fault_is_told_and_good_rows_are_read_beside_bad_ones(path: Path) -> None:
    path.write_text("login,name,email,number\na b,x,nobody,7\nivan,Ivan,,7001\nj,J,,x\n")
    found, wrong = read(path)
    assert [entry.login for entry in found] == ["ivan"]
    assert [(problem.field, problem.where) for problem in wrong] == [
        ("login", f"{path}:2"),
        ("email", f"{path}:2"),
        ("number", f"{path}:2"),
        ("number", f"{path}:4"),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n \n", "{sep}", "\ufeff{sep}"])
def test_line_ends_delimiters_and_what_spreadsheets_put_first_are_read(
    path: Path, end: str, delimiter: str, start: str
) -> None:
    begun = start.format(sep=f"sep={delimiter}\n")
    rows = ['"login"|name', 'ivan|"Ivan, the; great"', "", "|", 'anna|"Anna ""Ann"""', "eva|Eva"]
    text = begun + "\n".join(rows).replace("|", delimiter)
    path.write_text(text.replace("\n", end), encoding="utf-8", newline="")
    before = begun.count("\n")
    assert [(entry.login, entry.name, entry.line) for entry in entries(path)] == [
        ("ivan", "Ivan, the; great", before + 2),
        ("anna", 'Anna "Ann"', before + 5),
        ("eva", "Eva", before + 6),
    ]


def test_a_row_within_quotes_over_lines_begins_at_its_first_line(path: Path) -> None:
    path.write_text('login,name\n"i\ni",I\nj,J\n')
    assert problems(path)[0].startswith("2: login:")
    assert read(path)[0][0].line == 4


def test_a_quote_that_is_never_closed_does_not_hide_the_rest_of_a_long_file(path: Path) -> None:
    rows = [f"u{i},{'x' * 100}\n" for i in range(5000)]
    path.write_text('login,name\ni,I\nj,"J\n' + "".join(rows) + "bad one,\n")
    said = problems(path)
    assert said[0].startswith("3: row: a quote is opened here and never closed")
    assert said[-1].startswith("5004: name: '' is empty")


def test_no_secret_shows_in_a_problem_or_an_entry(path: Path) -> None:
    path.write_text("login,name,secret,number\ni,I,hunter2-hunter2,7\nj,J,hunter2-hunter2,7001\n")
    assert "hunter2" not in repr(read(path))


def test_a_sheet_says_the_same_as_a_csv_file(path: Path) -> None:
    book = path.with_suffix(".xlsx")
    book.write_bytes(
        xlsx(
            [
                ["login", "name", "number", "lines", "active", None],
                ["ivan", "Иван", 7001, 2.0, True, None],
                [],
                ["anna", "=1+1", "0070", None, False, None],
                ["eva", "Eva", 7.5, None, None, None],
            ],
            first=3,
        )
    )
    found, wrong = read(book)
    assert [(e.login, e.name, e.active, e.line, e.extensions[0].number) for e in found] == [
        ("ivan", "Иван", True, 4, "7001"),
        ("anna", "=1+1", False, 6, "0070"),
    ]
    assert [str(problem) for problem in wrong] == [
        f"{book}:7: number: '7.5' is not an extension number; expected 2 to 15 digits 0-9"
    ]


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 and nothing more", b"login,name\n"])
def test_what_is_no_spreadsheet_is_refused(path: Path, data: bytes) -> None:
    book = path.with_suffix(".xlsx")
    book.write_bytes(data)
    with pytest.raises(FileError, match="not a spreadsheet"):
        read(book)


def test_a_sheet_whose_cells_span_more_than_memory_is_refused(path: Path) -> None:
    book = path.with_suffix(".xlsx")
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    book.write_bytes(xlsx([["login", "name"]], more=far))
    with pytest.raises(FileError, match="column 16384 and row 1048576"):
        read(book)
