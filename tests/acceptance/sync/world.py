"""Two nodes, a database and a daemon, with links between them; phones and changes all the while."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from provisioner.errors import LabError, ProvisionerError
from provisioner.lab import Lab, Phone
from provisioner.lab.lab import _toml, _write_private
from provisioner.lab.sip import Prober
from provisioner.lab.waiting import wait_for
from provisioner.records import validate_user
from provisioner.secret import Secret
from provisioner.service import App, users
from provisioner.settings import Settings, load
from provisioner.store import Embedded
from tests.acceptance.sync.daemon import Daemon
from tests.acceptance.sync.link import Link

NODES: Final = ("pbx1", "pbx2")
STEADY: Final = 20
"""Phones on each node whose users nobody changes: they have to be served whatever happens."""
CHANGING: Final = 20
"""Users who are changed all the time."""
TALKERS: Final = ("anna", "ivan")
"""Users whose phones a test switches on."""


@dataclass
class Answers:
    """What the steady phones were answered since :meth:`World.answers` was last called, node by node."""

    statuses: dict[str, Counter[int]] = field(default_factory=lambda: {node: Counter() for node in NODES})
    seconds: list[float] = field(default_factory=list)


class World:
    """Made with ``with``. ``links`` are the daemon's ways to ``pbx1``, ``pbx2`` and ``database``, and
    ``rows``, the nodes' way to the database."""

    def __init__(self, **asterisk: Any) -> None:
        self._stack = contextlib.ExitStack()
        rows = self._stack.enter_context(Link())
        self.links = {"rows": rows}
        self.lab = Lab(nodes=len(NODES), asterisk=asterisk, database={"asterisk_port": rows.port})
        self.made: list[str] = []
        """Every secret that was ever given; none may be in a log."""
        self.changes: Counter[str] = Counter()
        self._secrets: dict[str, Secret] = {}
        self._answers = Answers()
        self._ended = threading.Event()
        self._pause = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        try:
            self._stack.callback(self.lab.close)
            self.lab.prepare()
            self._lay_links()
            for node in self.lab.nodes.values():
                node.asterisk.start()
            self._add_users()
            self.daemon = Daemon(self.config, self.log)
            self._stack.callback(self._end_daemon)
            self.daemon.wait_until_leading()
            for work in (self._keep_registering, self._keep_changing):
                thread = threading.Thread(target=work, name=work.__name__)
                thread.start()
                self._threads.append(thread)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)
        self._stack.close()

    # -- how it is made

    def _lay_links(self) -> None:
        url = Embedded(self.lab.home).ensure_running()
        settings = tomllib.loads(self.lab.config.read_text("utf-8"))
        self.links["rows"].upstream = url.port or 0
        ports = {"database": url.port or 0} | {name: settings["nodes"][name]["port"] for name in NODES}
        self.links |= {name: self._stack.enter_context(Link(port)) for name, port in ports.items()}
        through = url.set(drivername="postgresql", port=self.links["database"].port)
        address = through.render_as_string(hide_password=False)
        sections: dict[str, Any] = {
            "asterisk": settings["asterisk"],
            "sync": {"away": 3600},
            "database": {"url": address, "statement_timeout": 5},
        }
        for name in NODES:
            patience = {"connect_timeout": 2, "action_timeout": 2}
            sections[f"nodes.{name}"] = {
                **settings["nodes"][name],
                **patience,
                "port": self.links[name].port,
            }
        self.config = self.lab.home / "links.toml"
        _write_private(self.config, _toml(sections))
        self.log = self.lab.home / "sync.log"
        self.made.append(str(url.password))
        self.made.append((self.lab.home / "ami.secret").read_text("utf-8").strip())

    def _add_users(self) -> None:
        with self.app() as told, closing(App(_alone(told.settings), "test", "test")) as app:
            numbered = (
                f"{'steady' if number < STEADY else 'changing'}-{number}"
                for number in range(STEADY + CHANGING)
            )
            for number, login in enumerate((*numbered, *TALKERS)):
                spec = validate_user(login=login, name=f"User {number}", extensions=[{"lines": 2}])
                made = users.add(app, spec)
                self._keep_secret(made)

    @contextmanager
    def app(self, wait: bool = True) -> Iterator[App]:
        """The service past the links, in this process."""
        settings = load(self.lab.config, {"PROVISIONER_HOME": str(self.lab.home)})
        app = App(settings, actor="test", command="test", wait=wait)
        try:
            yield app
        finally:
            app.close()

    def _keep_secret(self, made: users.Outcome) -> None:
        for new in made.issued:
            self.made.append(new.secret.reveal())
            self._secrets[made.user.login] = new.secret

    def phone(self, login: str, node: str) -> Phone:
        """The real phone of one of the :data:`TALKERS`, registered at the node."""
        with self.app() as app:
            id = users.show(app, login).user.primary.endpoint_id
        phone = self.lab.phone(id, self._secrets[login], answers=True, node=node)
        wait_for(f"{login} to register", lambda: phone.register() == 200, 10)
        return phone

    def _end_daemon(self) -> None:
        if self.daemon.process.poll() is None:
            self.daemon.kill()

    def start_daemon(self, environment: Mapping[str, str] | None = None) -> Daemon:
        """Another daemon on the same settings, instead of one that ended."""
        self.daemon = Daemon(self.config, self.log, environment)
        return self.daemon

    # -- what goes on all the while

    def _keep_registering(self) -> None:
        asyncio.run(self._register())

    async def _register(self) -> None:
        """20 registrations a second on each node, half of them of users who are being changed."""
        with self.app() as app:
            ids = [
                (user.login, user.primary.endpoint_id) for user in _listed(app) if user.login not in TALKERS
            ]
        random.Random(1).shuffle(ids)
        async with Prober() as prober:
            phones = [
                (name, login, prober.phone(id, self._secrets[login], self.lab.nodes[name].sip))
                for login, id in ids
                for name in NODES
            ]
            tasks: set[asyncio.Task[None]] = set()

            async def one(number: int) -> None:
                name, login, phone = phones[number % len(phones)]
                phone.secret = self._secrets[login]
                answer = await phone.register(120, timeout=5)
                if login.startswith("steady"):
                    self._answers.statuses[name][answer.status] += 1
                    self._answers.seconds.append(answer.seconds)

            number = 0
            while not self._ended.is_set():
                task = asyncio.create_task(one(number))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                number += 1
                await asyncio.sleep(1 / 40)
            await asyncio.gather(*tasks)

    def answers(self) -> Answers:
        """What was answered since the last call."""
        found, self._answers = self._answers, Answers()
        return found

    def _keep_changing(self) -> None:
        """10 changes a second by the product's own use cases; those that fail are not written."""
        chance = random.Random(7)
        with self.app(wait=False) as app:
            while not self._ended.is_set():
                started = time.monotonic()
                if not self._pause.is_set():
                    kind, change = chance.choice(_CHANGES)
                    login = f"changing-{chance.randrange(STEADY, STEADY + CHANGING)}"
                    try:
                        self._keep_secret(change(app, login))
                        self.changes[kind] += 1
                    except ProvisionerError as exc:
                        self.changes[f"{kind}: {type(exc).__name__}"] += 1
                self._ended.wait(max(0.0, 0.1 - (time.monotonic() - started)))

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nobody changes anything in here."""
        self._pause.set()
        time.sleep(0.5)
        try:
            yield
        finally:
            self._pause.clear()

    # -- what has to be true

    def caught_up(self) -> bool:
        """Whether the daemon says that it leads, and that no node is behind."""
        found = self.daemon.health()
        nodes = found.get("nodes", {})
        return (
            found.get("state") == "leading"
            and set(nodes) == set(NODES)
            and all(its["up"] and its["lag_seconds"] < 1 for its in nodes.values())
        )

    def recovers(self, seconds: float = 10) -> float:
        """Wait until no node is behind any more; returns how long that took once the daemon was up."""
        try:
            self.daemon.wait_until_up()
            began = time.monotonic()
            wait_for("every node to be told", self.caught_up, seconds)
        except LabError as exc:
            said = self.log.read_text("utf-8", "replace").splitlines()[-40:]
            raise LabError(
                "\n".join([f"{exc}: {self.daemon.health()}, and the log ends with", *said])
            ) from None
        return time.monotonic() - began

    def differences(self) -> list[str]:
        """What any node holds that is not what the database says, of every object; nothing is changed."""
        with self.quiet():
            wait_for("the last change to be told", self._all_told, 10)
            done = self.lab.cli("drift", "--node", "--json", seconds=120)
        assert done.code == 0, done.err
        return [str(one) for one in json.loads(done.out)["found"]]

    def _all_told(self) -> bool:
        with self.app() as app:
            return all(not one.changes and not one.whole for one in app.store.states())

    def leaks(self) -> list[str]:
        """Names of the logs that hold a secret."""
        logs = {"daemon": self.log.read_text("utf-8", "replace")}
        logs["postgresql"] = Embedded(self.lab.home).log.read_text("utf-8", "replace")
        logs |= {name: self.lab.nodes[name].asterisk.logs() for name in NODES}
        return [name for name, text in logs.items() if any(secret in text for secret in self.made)]


def _alone(settings: Settings) -> Settings:
    """The same without nodes, who are not to be told of each user by itself."""
    return settings.model_copy(update={"nodes": ()})


def _listed(app: App) -> list[Any]:
    return [stored.user for stored in users.list_users(app)]


def _rekey(app: App, login: str) -> users.Outcome:
    return users.rotate_secret(app, login, None, None)


def _rename(app: App, login: str) -> users.Outcome:
    return users.set_fields(app, login, name=f"Renamed {random.randrange(1000)}")


def _lines(app: App, login: str) -> users.Outcome:
    return users.set_fields(app, login, lines=random.randrange(1, 5))


def _disable(app: App, login: str) -> users.Outcome:
    users.set_active(app, login, False)
    return users.set_active(app, login, True)


def _delete(app: App, login: str) -> users.Outcome:
    users.delete(app, login)
    return users.restore(app, login)


_CHANGES: Final[tuple[tuple[str, Callable[[App, str], users.Outcome]], ...]] = (
    ("secret", _rekey),
    ("name", _rename),
    ("lines", _lines),
    ("disable", _disable),
    ("delete", _delete),
)
