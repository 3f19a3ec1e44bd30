"""What the tests of files share: files made from texts and cells, and read."""

import html
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from provisioner.errors import Problem
from provisioner.files import Format, open_input, read_entries
from provisioner.records import Entry

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"

Cell = str | int | float | bool | None


def read(
    path: Path, *, format: Format | None = None, encoding: str | None = None
) -> tuple[list[Entry], list[Problem]]:
    """Everything that a file says, and everything that is wrong with it."""
    with open_input(path, format=format, encoding=encoding) as opened:
        found = list(read_entries(opened))
    return [e for e in found if isinstance(e, Entry)], [p for p in found if isinstance(p, Problem)]


def entries(path: Path) -> list[Entry]:
    """The entries of a file in which nothing is wrong."""
    found, problems = read(path)
    assert problems == []
    return found


def problems(path: Path) -> list[str]:
    """What is wrong with a file, each as ``line field: message``."""
    return [str(problem).removeprefix(f"{path}:") for problem in read(path)[1]]


def xlsx(rows: Sequence[Sequence[Cell]], *, first: int = 1, more: str = "") -> bytes:
    """The smallest spreadsheet with these rows, the first of them in this line; ``more`` is further XML."""
    body = "".join(
        f'<row r="{line}">{"".join(_cell(value, column, line) for column, value in enumerate(row))}</row>'
        for line, row in enumerate(rows, first)
    )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        packed.writestr("_rels/.rels", _relation("officeDocument", "xl/workbook.xml"))
        packed.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets>'
            '<sheet name="Users" sheetId="1" r:id="rId1"/></sheets></workbook>',
        )
        packed.writestr("xl/_rels/workbook.xml.rels", _relation("worksheet", "worksheets/sheet1.xml"))
        packed.writestr(
            "xl/worksheets/sheet1.xml",
            f'<worksheet xmlns="{MAIN}"><sheetData>{body}{more}</sheetData></worksheet>',
        )
    return made.getvalue()


def _relation(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{DOCUMENT}/{kind}" Target="{target}"/></Relationships>'
    )


def _cell(value: Cell, column: int, line: int) -> str:
    place = f'r="{chr(65 + column)}{line}"'
    if value is None:
        return f"<c {place}/>"
    if isinstance(value, bool):
        return f'<c {place} t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c {place} t="inlineStr"><is><t xml:space="preserve">{html.escape(value)}</t></is></c>'
    return f"<c {place}><v>{value}</v></c>"
