"""What the fixtures of conftest.py hand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from provisioner.lab import CommandResult, Phone
from provisioner.secret import Secret


@dataclass(frozen=True)
class Person:
    """A user that a test added, with what is needed to use the phone."""

    login: str
    name: str
    number: str
    secret: Secret


class AddUser(Protocol):
    def __call__(self, name: str = ..., *, lines: int = ..., stdin: str | None = None) -> Person: ...


class MakePhone(Protocol):
    def __call__(
        self, person: Person, *, register: bool = True, expires: int = 60, answers: bool = False
    ) -> Phone: ...


class Cli(Protocol):
    def __call__(self, *arguments: str, stdin: str | None = None) -> CommandResult: ...
