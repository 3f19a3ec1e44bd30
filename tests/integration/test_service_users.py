"""Use cases of users on a real PostgreSQL, with no node to tell."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import URL

from provisioner.errors import InvalidRecord, NotFound
from provisioner.records import Kind, UserSpec, validate_user
from provisioner.secret import Secret
from provisioner.service import App, users
from provisioner.service.app import kept_secret
from provisioner.settings import Settings

pytestmark = pytest.mark.integration

CHOSEN = Secret("Vq8-tundra-7Kf")


@pytest.fixture
def app(database: URL, tmp_path: Path) -> Iterator[App]:
    url = database.render_as_string(hide_password=False)
    settings = Settings.model_validate({"home": tmp_path, "database": {"url": url}})
    app = App(settings, actor="tester", command="test")
    yield app
    app.store.close()


def spec(login: str, secret: Secret | None = None, lines: int = 1) -> UserSpec:
    return validate_user(login=login, name="Anna", extensions=[{"secret": secret, "lines": lines}])


def test_more_lines_need_a_longer_chosen_secret(app: App) -> None:
    users.add(app, spec("anna", CHOSEN, lines=3))
    with pytest.raises(
        InvalidRecord, match=r"secret of 7000 has 14 characters, 4 lines need 16.*user secret"
    ):
        users.set_fields(app, "anna", lines=4)
    assert users.show(app, "anna").user.primary.lines == 3
    users.rotate_secret(app, "anna", None, None)
    assert users.set_fields(app, "anna", lines=4).user.primary.lines == 4


def test_a_generated_secret_is_long_enough_for_any_number_of_lines(app: App) -> None:
    users.add(app, spec("anna"))
    assert users.set_fields(app, "anna", lines=99).user.primary.lines == 99


def test_fewer_lines_ask_nothing_of_the_secret(app: App) -> None:
    users.add(app, spec("anna", CHOSEN, lines=3))
    assert users.set_fields(app, "anna", lines=1).user.primary.lines == 1


def test_an_unchanged_user_is_not_written(app: App) -> None:
    users.add(app, spec("anna"))
    before = users.show(app, "anna").updated_at
    users.set_fields(app, "anna", name="Anna")
    assert users.show(app, "anna").updated_at == before


def test_an_extension_with_aliases_is_not_deleted_before_them(app: App) -> None:
    users.add(app, spec("anna"))
    users.add_extension(app, "anna", number="7050", label=None, lines=1, secret=None)
    users.add_extension(app, "anna", number="7050", label="sales", lines=1, secret=None)
    with pytest.raises(InvalidRecord, match="7050-sales"):
        users.delete_extension(app, "anna", "7050")
    with pytest.raises(InvalidRecord, match="7000 is the primary one"):
        users.delete_extension(app, "anna", "7000")
    users.delete_extension(app, "anna", "7050-sales")
    users.delete_extension(app, "anna", "7050")
    assert [part.kind for part in users.show(app, "anna").user.extensions] == [Kind.PRIMARY]


def test_an_unknown_extension_is_answered_with_those_there_are(app: App) -> None:
    users.add(app, spec("anna"))
    with pytest.raises(NotFound, match="there are: 7000"):
        users.rotate_secret(app, "anna", "7001", None)


def test_a_kept_secret_is_made_once_whoever_asks_first(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path / "home"})
    with ThreadPoolExecutor(8) as askers:
        given = set(askers.map(lambda _: kept_secret(settings, "some.secret"), range(64)))
    assert len(given) == 1
    (left,) = (tmp_path / "home").iterdir()
    assert left.stat().st_mode & 0o777 == 0o600
