"""CSV: lines of text become rows of cells."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator
from typing import Final, TextIO

from provisioner.files.format import COLUMNS
from provisioner.files.raw import Fault
from provisioner.files.table import Row

DELIMITERS: Final = ",;\t"


def rows(text: TextIO) -> Iterator[Row | Fault]:
    """The rows of a CSV file, empty lines left out; the delimiter is the one that the header has.

    Quotes as RFC 4180 has them. A row that breaks its rules is a Fault, and reading goes on after it.
    """
    skipped = 0
    first = ""
    for first in text:
        if first.strip("\r\n\ufeff \t"):
            break
        skipped += 1
    else:
        return
    first = first.removeprefix("\ufeff")
    delimiter = ""
    if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5:
        # A line for spreadsheet programs, which they write themselves and hide.
        delimiter = first[4]
        skipped += 1
        first = next(text, "")
    reader = csv.reader(itertools.chain([first], text), delimiter=delimiter or _delimiter(first), strict=True)
    while True:
        line = skipped + reader.line_num + 1
        try:
            for cells in reader:
                if cells:
                    yield Row(line, cells)
                line = skipped + reader.line_num + 1
            return
        except csv.Error as exc:
            yield Fault(line, "row", _explained(exc))


def _delimiter(header: str) -> str:
    """The one that makes the most known columns of the header, else the most columns."""

    def worth(delimiter: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            return 0, 0
        return sum(name.strip().lower() in COLUMNS for name in names), len(names)

    return max(DELIMITERS, key=worth)


def _explained(exc: csv.Error) -> str:
    said = str(exc)
    if "unexpected end" in said or "field larger" in said:
        return "a quote is opened here and never closed; double a quote that is part of the text"
    if "expected after" in said:
        return "text follows a closing quote; double a quote that is part of the text"
    return f"cannot be read: {said}"
