"""Files of users: read as a stream of checked entries, and written so that they say the same again."""

from provisioner.files.entries import read_entries
from provisioner.files.format import Format, form_of
from provisioner.files.input import Input, open_input
from provisioner.files.template import template
from provisioner.files.write import write_template, write_users

__all__ = [
    "Format",
    "Input",
    "form_of",
    "open_input",
    "read_entries",
    "template",
    "write_template",
    "write_users",
]
