"""Every error the product raises on purpose, in one tree.

::

    ProvisionerError
    ├── SettingsError            a wrong setting, with its file and key
    ├── InvalidRecord            what an administrator typed; carries every Problem at once
    ├── FileError                a file of users that cannot be read or written as a whole
    ├── UnsupportedValue         a value that Asterisk or a column of its tables cannot hold
    ├── StoreError
    │   ├── StoreUnavailable     no PostgreSQL answers, or it went away
    │   │   └── CommitUnknown    ... during the commit: written or not, nobody knows
    │   ├── SchemaOutdated       tables or columns are missing
    │   ├── Conflict             a login or number is taken, or still rests
    │   ├── NotFound             no such user or extension
    │   └── EmbeddedError        the embedded server cannot be set up or started
    ├── NodeError                always names the node
    │   ├── NodeUnavailable      nobody answers at its address
    │   ├── LoginRefused         wrong AMI user or secret
    │   ├── ActionRefused        the node answered "Error"
    │   │   └── PermissionMissing   ... because the AMI user lacks a class
    │   ├── ActionTimeout        no answer before the deadline
    │   └── ConnectionLost       the connection broke while an answer was due
    ├── PlanError                a file is no saved plan, or one that was cut off
    │   ├── PlanMoved            what it was made from is not the same any more
    │   └── TooMuch              it takes more away than the limit allows, and --force was not given
    ├── Interrupted              Ctrl-C; says whether anything was written
    ├── ConfError
    │   └── FileNotOurs          a file that we did not make is in the way
    └── LabError                 a container or phone of the lab failed

The text of each is one sentence for the person at the terminal: what was wrong, where, and what to do.
None of them ever holds a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ProvisionerError(Exception):
    """Base of all errors below; ``str()`` is fit to be shown to the operator."""


class SettingsError(ProvisionerError):
    """A setting is missing or wrong; names the file (or environment variable) and the key."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one field of an input.

    ``where`` is a place such as ``users.csv:12`` where the input has one.
    """

    field: str
    message: str
    where: str | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.field}: {self.message}"


class InvalidRecord(ProvisionerError):
    """Input that was refused; ``problems`` holds all of them, in the order of the input."""

    def __init__(self, problems: Sequence[Problem], summary: str | None = None) -> None:
        """``summary`` is one more sentence, after all of them."""
        self.problems = tuple(problems)
        super().__init__("\n".join([*map(str, self.problems), *([summary] if summary else [])]))


class FileError(ProvisionerError):
    """A file of users cannot be opened, is of no known form, or is not in the encoding it is read in."""


class UnsupportedValue(ProvisionerError):
    """A value that Asterisk, or a column of its tables, cannot hold."""


class StoreError(ProvisionerError):
    """Base of what can go wrong with the database."""


class StoreUnavailable(StoreError):
    """PostgreSQL does not answer, refused the login, or went away; nothing was written unless said."""


class CommitUnknown(StoreUnavailable):
    """PostgreSQL went away during the commit: all of the change was written, or nothing of it."""


class SchemaOutdated(StoreError):
    """Tables or columns are missing; ``provisioner db upgrade`` mends it."""


class Conflict(StoreError):
    """A login or number is held by somebody else, still rests, or the range is used up."""


class NotFound(StoreError):
    """No user or extension of that name."""


class EmbeddedError(StoreError):
    """The embedded PostgreSQL cannot be set up, started or stopped."""


class NodeError(ProvisionerError):
    """Base of what can go wrong with one Asterisk; ``node`` is its name in the settings."""

    def __init__(self, node: str, message: str) -> None:
        self.node = node
        super().__init__(f"node {node}: {message}")


class NodeUnavailable(NodeError):
    """No AMI answers at the node's address."""


class LoginRefused(NodeError):
    """The node refused the AMI username or secret."""


class ActionRefused(NodeError):
    """The node answered an action with an error."""


class PermissionMissing(ActionRefused):
    """The AMI user lacks a class that an action needs."""


class ActionTimeout(NodeError):
    """An action had no answer before its deadline."""


class ConnectionLost(NodeError):
    """The connection broke while answers were due."""


class PlanError(ProvisionerError):
    """A file cannot be read as a saved plan; names the file and, where there is one, the line."""


class PlanMoved(PlanError):
    """What a plan was made from is not the same any more; says what differs. Nothing was written."""


class TooMuch(PlanError):
    """A plan deletes or cuts off more than the limit allows; nothing was written."""


class Interrupted(ProvisionerError):
    """Ctrl-C ended a change; the text says whether it was written."""


class ConfError(ProvisionerError):
    """A configuration file cannot be rendered, written or read."""


class FileNotOurs(ConfError):
    """Files that provisioner did not make are in the way; ``--force`` overwrites them."""


class LabError(ProvisionerError):
    """A container or a phone of the lab did not do what was asked of it."""
