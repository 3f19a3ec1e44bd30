"""Spreadsheets: the first sheet becomes rows of cells."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import Any, Final

from provisioner.errors import FileError
from provisioner.files.raw import Fault
from provisioner.files.table import Row

MOST_BYTES: Final = 1 << 29
"""Of a spreadsheet, unpacked."""
MOST_CELLS: Final = 20_000_000
"""Of the rectangle that the cells span: the library holds all of it in memory, also what is empty."""

_FILLED: Final = re.compile(rb'<c (?:[^<>]*? )?r="([A-Z]{1,3})([0-9]{1,7})"[^<>]*(?<!/)>')


def rows(name: str, data: bytes) -> Iterator[Row | Fault]:
    """The rows of the first sheet, as texts; raises FileError for what is no XLSX file.

    Numbers are written as people type them: 7001, not 7001.0. A number that the sheet shows with leading
    zeros has lost them; such a column has to be text.
    """
    import python_calamine as calamine

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            size = sum(entry.file_size for entry in packed.infolist())
            if size > MOST_BYTES:
                raise FileError(f"{name}: unpacks to {size >> 20} MB; save it as CSV")
            for entry in packed.namelist():
                if entry.startswith("xl/worksheets/"):
                    _measure(name, packed, entry)
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheet = book.get_sheet_by_index(0)
        for line, cells in enumerate(sheet.iter_rows(), start=1):
            if any(cell != "" for cell in cells):
                yield Row(line, [cell if type(cell) is str else _text(cell) for cell in cells])
    except (calamine.CalamineError, zipfile.BadZipFile, OSError, ValueError) as exc:
        raise FileError(f"{name}: is not a spreadsheet that can be read (XLSX): {exc}") from None


def _measure(name: str, packed: zipfile.ZipFile, sheet: str) -> None:
    columns: set[bytes] = set()
    last = 0
    rest = b""
    with packed.open(sheet) as xml:
        while piece := xml.read(1 << 20):
            found = _FILLED.findall(rest + piece)
            # A cell that the cut goes through is found with the next piece.
            rest = piece[-200:]
            columns.update(column for column, _ in found)
            last = max(last, max((int(row) for _, row in found), default=0))
    width = max((_number(column) for column in columns), default=0)
    if width * last > MOST_CELLS:
        raise FileError(
            f"{name}: has cells as far as column {width} and row {last}; clear them or save it as CSV"
        )


def _number(column: bytes) -> int:
    number = 0
    for letter in column:
        number = number * 26 + letter - 64
    return number


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 10**15:
        return str(int(cell))
    return str(cell)
