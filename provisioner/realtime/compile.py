"""Record to rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from provisioner.realtime.rows import ColumnSet, Rows
from provisioner.records import User


class Options(Protocol):
    """What of the settings the rows depend on; ``settings.AsteriskSettings`` is one."""

    @property
    def context(self) -> str: ...
    @property
    def codecs(self) -> Sequence[str]: ...
    @property
    def language(self) -> str: ...
    @property
    def realm(self) -> str: ...
    @property
    def full_aor(self) -> str: ...
    @property
    def sip_secret_storage(self) -> str: ...
    @property
    def qualify_frequency(self) -> int: ...
    @property
    def min_expiration(self) -> int: ...
    @property
    def default_expiration(self) -> int: ...
    @property
    def max_expiration(self) -> int: ...


def compile_user(user: User, options: Options, columns: ColumnSet) -> Rows:
    """The rows that make a user's extensions work; none for an inactive user.

    Only columns that the database has are written. Raises SchemaOutdated when it lacks one that we
    cannot do without, UnsupportedValue when a value does not fit.
    """
    raise NotImplementedError
