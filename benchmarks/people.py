"""The people of an office, with names in three scripts; the same count gives the same people."""

# ruff: noqa: RUF001  (Cyrillic letters that look like Latin ones)

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

FIRST_NUMBER: Final = 200_000
LAST_NUMBER: Final = 999_999
CHANGED_EVERY: Final = 100
"""One in so many people has changed in :func:`changed`: 1 %."""


@dataclass(frozen=True, slots=True)
class Script:
    """How people are called who write so: words of the form ``login:Name``, family names in two halves."""

    share: int
    given: str
    roots: str
    endings: str


_SCRIPTS: Final = (
    Script(
        share=70,
        given="anna:Anna jan:Jan malgorzata:Małgorzata zbigniew:Zbigniew zaneta:Żaneta lukasz:Łukasz "
        "jurgen:Jürgen soren:Søren francoise:Françoise maria:María joao:João peter:Peter grace:Grace",
        roots="kowal:Kowal wisni:Wiśni zielin:Zieliń krol:Król nowa:Nowa jorgen:Jørgen muller:Müller "
        "johan:Johan hern:Hérn garc:Garć ander:Ander schroder:Schröder dubo:Dubó brand:Bränd "
        "oneil:O'Neil wojcie:Wójcie zol:Żół sobol:Sobol strom:Ström lind:Lind berg:Bérg hall:Håll love:Love",
        endings="ski:ski ska:ska wicz:wicz sen:sen son:son ek:ek man:mann er:er",
    ),
    Script(
        share=20,
        given="olena:Олена andriy:Андрій natalia:Наталія dmytro:Дмитро yulia:Юлія serhiy:Сергій iryna:Ірина "
        "petro:Петро tetiana:Тетяна mykola:Микола oksana:Оксана bohdan:Богдан",
        roots="koval:Коваль shev:Шев bondar:Бондар tkach:Ткач lys:Лис hryts:Гриц moroz:Мороз sav:Сав "
        "petr:Петр ivan:Іван klym:Клим pavl:Павл rom:Ром sydor:Сидор vasyl:Василь zakhar:Захар",
        endings="enko:енко chuk:чук skyi:ський iv:ів",
    ),
    Script(
        share=10,
        given="fatima:فاطمة ahmad:أحمد layla:ليلى yusuf:يوسف maryam:مريم omar:عمر zaynab:زينب khalid:خالد",
        roots="hashim:الهاشم najjar:النجار haddad:حداد masr:المصر khour:خور baghdad:البغداد halab:الحلب "
        "dimashq:الدمشق tunis:التونس jaza:الجزائر maghrib:المغرب yaman:اليمن",
        endings="i:ي iy:ية an:ان",
    ),
)
_DOMAINS: Final = ("example.com", "sales.example.com", "example.org")
_LINES: Final = {1: 70, 2: 25, 4: 5}


@dataclass(frozen=True, slots=True)
class Person:
    """One row of the file; the fields are its columns."""

    login: str
    name: str
    email: str
    number: str
    lines: str


def people(count: int) -> list[Person]:
    """So many people, their numbers one after another, with logins such as ``anna.kowalska17``."""
    chance = random.Random(count)
    shares = [script.share for script in _SCRIPTS]
    seen: dict[str, int] = {}
    found = []
    for index in range(count):
        login, name = _named(chance.choices(_SCRIPTS, shares)[0], chance)
        seen[login] = seen.get(login, 0) + 1
        if seen[login] > 1:
            login = f"{login}{seen[login]}"
        lines = chance.choices(tuple(_LINES), tuple(_LINES.values()))[0]
        email = f"{login}@{chance.choice(_DOMAINS)}"
        found.append(Person(login, name, email, str(FIRST_NUMBER + index), str(lines)))
    return found


def changed(before: Sequence[Person]) -> list[Person]:
    """The same with 1 % of them changed: the first gets another name, the next one more line, and so on."""
    after = list(before)
    for turn, index in enumerate(range(0, len(before), CHANGED_EVERY)):
        person = before[index]
        after[index] = (
            replace(person, lines=str(int(person.lines) + 1))
            if turn % 2
            else replace(person, name=f"{person.name} Żak")
        )
    return after


def spoilt(before: Sequence[Person]) -> list[Person]:
    """The same with a number that is none in the last row."""
    return [*before[:-1], replace(before[-1], number="2OO1")]


def write_csv(rows: Iterable[Person], path: Path) -> Path:
    """The file as a spreadsheet would write it, in UTF-8; returns its path."""
    columns = [field.name for field in fields(Person)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([getattr(row, column) for column in columns] for row in rows)
    return path


def _named(script: Script, chance: random.Random) -> tuple[str, str]:
    """A login and a name; most people have a second given name or its first letter, some two family names."""
    first, second = chance.sample(script.given.split(), 2)
    root, ending, other = (
        chance.choice(half.split()) for half in (script.roots, script.endings, script.roots)
    )
    login, given = first.split(":")
    middle = chance.choice(("", f" {_name(second)[0]}.", f" {_name(second)}"))
    family = _name(root) + _name(ending)
    if chance.random() < 0.2:
        family += f"-{_name(other)}{_name(ending)}"
    return f"{login}.{_login(root)}{_login(ending)}", f"{given}{middle} {family}"


def _login(word: str) -> str:
    return word.partition(":")[0]


def _name(word: str) -> str:
    return word.partition(":")[2]
