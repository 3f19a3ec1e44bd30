"""What a file asks of a user against the record there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from provisioner.errors import InvalidRecord, Problem
from provisioner.plan.users import UserChange, Verb
from provisioner.records import (
    Credentials,
    Entry,
    Extension,
    IssuedSecret,
    Kind,
    Part,
    User,
    endpoint_id,
    matches,
    required_length,
    secret_fault,
)
from provisioner.records.text import show
from provisioner.secret import Secret

Make = Callable[[str, Secret | None], tuple[Credentials, IssuedSecret]]
"""Digests the secret of an endpoint id, or a new one where there is none."""


@dataclass(frozen=True, slots=True)
class Held:
    """The record there is: what the store calls it, and whether it was deleted."""

    id: int
    user: User
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """How entries are compared: whose file it is and its name for errors, and how credentials are made.

    ``adopt`` lets the file take over users that were made by hand.
    """

    source: str | None
    make: Make
    file: str = ""
    adopt: bool = False

    def change(self, entry: Entry, held: Held | None, numbers: Iterator[str]) -> UserChange | None:
        """What has to happen so that the user is what the entry asks for; None where nothing has to.

        ``numbers`` gives a free number for each extension that has none (see :func:`lacking`). Raises
        InvalidRecord with every problem at once.
        """
        there = held.user if held is not None else None
        wanted, issued, problems = self._wanted(entry, there, numbers)
        if held is None:
            verb = Verb.CREATE
            wanted = replace(wanted, source=self.source)
        elif held.deleted:
            verb = Verb.RESTORE
            wanted = replace(wanted, source=self.source)
        else:
            verb = Verb.UPDATE
            wanted, refused = self._owned(entry, held.user, wanted)
            problems = [*refused, *problems]
        if problems:
            raise InvalidRecord(problems)
        if verb is Verb.UPDATE and wanted is there:
            return None
        return UserChange(verb, there, wanted, held.id if held else None, issued, entry.line)

    def speaks_for(self, user: User) -> bool:
        """Whether the file may change this user, or bring it back."""
        return user.source == self.source or (user.source is None and self.adopt)

    def _owned(self, entry: Entry, held: User, wanted: User) -> tuple[User, list[Problem]]:
        """A file changes its own users, and with ``adopt`` those made by hand; others it may only confirm."""
        if wanted is held and (held.source == self.source or not self.speaks_for(held)):
            return held, []
        if self.speaks_for(held):
            return replace(wanted, source=self.source), []
        ours, who = show(self.source or ""), show(held.login)
        message = (
            f"{who} belongs to the source {show(held.source)}, not to {ours}, and would change: do it there"
        )
        if held.source is None:
            message = f"{who} was made by hand, and would change: --adopt makes such users those of {ours}"
        return held, [self._problem(entry, "login", message)]

    def _wanted(
        self, entry: Entry, held: User | None, numbers: Iterator[str]
    ) -> tuple[User, tuple[IssuedSecret, ...], list[Problem]]:
        """The record asked for: ``held`` itself where nothing differs."""
        problems: list[Problem] = []
        issued: list[IssuedSecret] = []
        extensions: list[Extension] = []
        pairs = _pairs(entry, held)
        for part, there in zip(entry.extensions, pairs, strict=True):
            if part.kind is Kind.ALIAS:
                number = part.number or extensions[0].number
            else:
                number = part.number or (there.number if there else next(numbers))
            if there is None and held is not None:
                there = _by_id(held, endpoint_id(number, part.label))
            extensions.append(self._extension(entry, part, number, there, issued, problems))
        kept = _kept(entry, held, extensions)
        problems += self._orphans(entry, [*extensions, *kept])
        user = User(
            login=entry.login,
            name=entry.name,
            email=_email(entry, held),
            active=entry.active if entry.active is not None else held is None or held.active,
            extensions=_ordered([*extensions, *kept], held),
            source=held.source if held else None,
            webrtc=entry.webrtc if entry.webrtc is not None else held is not None and held.webrtc,
        )
        return (held if held is not None and user == held else user), tuple(issued), problems

    def _extension(
        self,
        entry: Entry,
        part: Part,
        number: str,
        held: Extension | None,
        issued: list[IssuedSecret],
        problems: list[Problem],
    ) -> Extension:
        id = endpoint_id(number, part.label)
        same = held if held is not None and held.endpoint_id == id else None
        lines = part.lines or (held.lines if held else 1)
        if same is not None and (part.secret is None or matches(part.secret, same.credentials, id)):
            if lines > same.lines:
                problems += self._too_short(entry, part, same, lines)
            if (same.kind, same.lines) == (part.kind, lines):
                return same
            return replace(same, kind=part.kind, lines=lines)
        if part.secret is not None:
            words = [entry.login, entry.name, number, *([part.label] if part.label else [])]
            fault = secret_fault(part.secret, lines, words)
            if fault:
                problems.append(self._problem(entry, "secret", fault, part))
        credentials, new = self.make(id, part.secret)
        issued.append(new)
        return Extension(number, part.kind, lines, credentials, part.label)

    def _too_short(self, entry: Entry, part: Part, held: Extension, lines: int) -> list[Problem]:
        """A chosen secret must be long enough for the lines."""
        fault = length_fault(held, lines)
        return [self._problem(entry, "lines", f"{fault}; first give it a new one", part)] if fault else []

    def _orphans(self, entry: Entry, extensions: Sequence[Extension]) -> list[Problem]:
        own = {part.number for part in extensions if part.kind is not Kind.ALIAS}
        return [
            self._problem(
                entry,
                "number",
                f"{part.endpoint_id} is an alias of {part.number}, which the user would not have any more: "
                "take the alias away as well, or keep the number",
            )
            for part in extensions
            if part.kind is Kind.ALIAS and part.number not in own
        ]

    def _problem(self, entry: Entry, field: str, message: str, part: Part | None = None) -> Problem:
        line = part.line if part is not None and part.line is not None else entry.line
        return Problem(field, message, f"{self.file}:{line}" if self.file else None)


def lacking(entry: Entry, held: User | None) -> int:
    """How many free numbers the user needs: those of extensions that neither entry nor record has one for."""
    if all(part.number for part in entry.extensions):
        return 0
    return sum(
        part.number is None and there is None and part.kind is not Kind.ALIAS
        for part, there in zip(entry.extensions, _pairs(entry, held), strict=True)
    )


def length_fault(part: Extension, lines: int) -> str | None:
    """Says so where the extension's chosen secret is too short for so many lines."""
    length, needed = part.credentials.chosen_length, required_length(lines)
    if length is None or length >= needed:
        return None
    return f"the chosen secret of {part.endpoint_id} has {length} characters, {lines} lines need {needed}"


def _pairs(entry: Entry, held: User | None) -> list[Extension | None]:
    """For each extension asked for the one of the record that it speaks of, where that is known already.

    One without a number is the primary one, or the next additional one that nobody speaks of by number.
    """
    if held is None:
        return [None] * len(entry.extensions)
    named = {endpoint_id(part.number, part.label) for part in entry.extensions if part.number}
    spare = (
        part for part in held.extensions if part.kind is Kind.ADDITIONAL and part.endpoint_id not in named
    )
    pairs: list[Extension | None] = []
    for part in entry.extensions:
        there = _by_id(held, endpoint_id(part.number, part.label)) if part.number else None
        if there is None and part.kind is Kind.PRIMARY and held.primary.endpoint_id not in named:
            there = held.primary  # its number changes, or is not spoken of
        elif part.number is None and part.kind is Kind.ADDITIONAL:
            there = next(spare, None)
        pairs.append(there)
    return pairs


def _by_id(user: User, id: str) -> Extension | None:
    for part in user.extensions:
        if part.endpoint_id == id:
            return part
    return None


def _kept(entry: Entry, held: User | None, extensions: Sequence[Extension]) -> list[Extension]:
    """What the record has and the entry does not speak of."""
    if held is None or entry.complete or len(held.extensions) == 1:
        return []
    spoken = {part.endpoint_id for part in extensions}
    return [part for part in held.extensions[1:] if part.endpoint_id not in spoken]


def _email(entry: Entry, held: User | None) -> str | None:
    if entry.email is None:
        return held.email if held else None
    return entry.email or None


def _ordered(extensions: Sequence[Extension], held: User | None) -> tuple[Extension, ...]:
    """The primary one, then those of the record in their order, then new ones by id."""
    if len(extensions) == 1:
        return tuple(extensions)
    places = {id: place for place, id in enumerate(held.endpoint_ids)} if held else {}
    first, *others = extensions
    last = len(places)
    return (first, *sorted(others, key=lambda part: (places.get(part.endpoint_id, last), part.endpoint_id)))
