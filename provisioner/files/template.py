"""A first file of users, to be filled in."""

from __future__ import annotations

from typing import Final

from provisioner.errors import FileError
from provisioner.files.format import Format

_CSV: Final = """\
login,name,email,active,webrtc,number,kind,label,lines
anna.kowalska,Anna Kowalska,anna.kowalska@example.com,yes,no,7001,,,2
ivan.petrov,Иван Петров,,yes,no,,,,
ivan.petrov,,,,,,alias,home,1
"""

_YAML: Final = """\
# Only login and name are needed; a number that is not given is the next free one.
- login: anna.kowalska
  name: Anna Kowalska
  email: anna.kowalska@example.com
  active: yes
  number: 7001
  lines: 2
- login: ivan.petrov
  name: Иван Петров
  extensions:
    - lines: 2
    - label: home
"""

_JSONL: Final = """\
{"login": "anna.kowalska", "name": "Anna Kowalska", "email": "anna@example.com", "number": "7001", "lines": 2}
{"login": "ivan.petrov", "name": "Иван Петров", "extensions": [{"lines": 2}, {"label": "home"}]}
"""

_TEMPLATES: Final = {Format.CSV: _CSV, Format.YAML: _YAML, Format.JSONL: _JSONL}


def template(format: Format) -> str:
    """A small file of that form, valid as it stands; raises FileError for XLSX, which has no text."""
    text = _TEMPLATES.get(format)
    if text is None:
        raise FileError(f"there is no template as {format}; choose one of {', '.join(_TEMPLATES)}")
    return text
