"""A SIP secret is shown once, where it was made, and is nowhere else: looked for in every place there is."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_urlsafe

import pytest

from provisioner.lab import CommandResult, Lab, commands
from provisioner.secret import Secret
from tests.acceptance.inside import Database, Inside
from tests.acceptance.people import AddUser, MakePhone

pytestmark = pytest.mark.acceptance

# Made anew in every run: what is found is found because of this run.
CHOSEN = [f"{token_urlsafe(12)}#" for _ in range(4)]
TOO_SHORT = [token_urlsafe(8) for _ in range(2)]


class Life:
    """Everything that befalls secrets of users, with what every command printed."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.printed: list[CommandResult] = []
        self.secrets: dict[str, CommandResult | None] = {}
        """Each to the command that may show it, None for one that was chosen."""

    def do(self, *arguments: str, stdin: str | None = None, code: int = 0) -> CommandResult:
        done = self.lab.cli(*arguments, stdin=stdin)
        assert done.code == code, done.err
        self.printed.append(done)
        if stdin is not None:
            self.secrets[stdin.strip()] = None
        return done

    def generate(self, *arguments: str) -> str:
        done = self.do(*arguments, "--json")
        secret = str(json.loads(done.out)["secrets"][0]["secret"])
        self.secrets[secret] = done
        return secret

    def live(self) -> str:
        """All of it, on two users; returns the number of the first."""
        chosen = iter(CHOSEN)
        first = self.generate("user", "add", "sec-made", "--name", "Made", "--lines", "2")
        number = str(json.loads(self.do("user", "show", "sec-made", "--json").out)["extensions"][0]["number"])
        self.do("user", "add", "sec-chosen", "--name", "Chosen", "--secret-stdin", stdin=next(chosen) + "\n")
        assert self.lab.sip_register(number, Secret(first)) == 200
        self.generate("user", "secret", "sec-made")
        assert self.lab.sip_register(number, Secret(first)) == 401
        self.do("user", "secret", "sec-chosen", "--secret-stdin", stdin=next(chosen) + "\n")
        self.generate("user", "extension", "add", "sec-made", "--alias", "support")
        self.do("user", "extension", "add", "sec-chosen", "--secret-stdin", stdin=next(chosen))
        for login in ("sec-made", "sec-chosen"):
            for command in (("disable",), ("enable",), ("delete", "--yes"), ("restore",)):
                self.do("user", *command, login)
        again = ("user", "add", "SEC-MADE", "--name", "Again", "--secret-stdin")
        self.do("--debug", *again, stdin=next(chosen), code=1)
        self.do("--debug", "user", "secret", "sec-made", "--secret-stdin", stdin=TOO_SHORT[0], code=1)
        self.do("user", "secret", "sec-made", "--secret-stdin", stdin=TOO_SHORT[1], code=1)
        self.do("user", "list")
        for words in ("user list", "user show sec-chosen", "status", "doctor"):
            self.do(*words.split(), "--json")
        self.do("export")
        return number


@contextmanager
def prying() -> Iterator[set[bytes]]:
    """Whatever any process of this machine had on its command line or in its environment meanwhile."""
    seen: set[bytes] = set()
    looks: Counter[Path] = Counter()
    stop = threading.Event()

    def pry() -> None:
        while not stop.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                looks[process] += 1
                # A process may become another program soon after its start, and hardly later.
                for file in ("cmdline", "environ") if looks[process] < 10 else ():
                    with suppress(OSError):
                        seen.add((process / file).read_bytes())

    thread = threading.Thread(target=pry, name="prying")
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@pytest.mark.timeout(300)
def test_no_secret_is_in_any_table_file_log_process_or_answer(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a shell starts them: their command lines are looked at too.
    monkeypatch.setattr(lab, "run", commands.run)
    life, database = Life(lab), Database(lab)
    with prying() as processes:
        number = life.live()
    secrets = [secret.encode() for secret in life.secrets]
    assert len(secrets) == 9
    database.flush()
    digest = database.ask(
        "SELECT sha256 FROM provisioner.extensions WHERE endpoint_id = %(id)s", {"id": number}
    )
    # Beside each place something that has to be found there: a search that finds nothing proves nothing.
    places: Mapping[str, tuple[bytes, bytes]] = {
        "the tables": (dump(database), digest[0][0].encode()),
        "the processes": (b"\n".join(processes), b"sec-chosen"),
        "Asterisk's log and database": (asterisk_files(lab), f"sip:{number}@".encode()),
        "AMI": (ami_answers(lab, number), f"AuthDetail\r\nObjectType: auth\r\nObjectName: {number}".encode()),
        "later output": (b"".join((one.out + one.err).encode() for one in life.printed[1:]), b"sec-chosen"),
    }
    for place, (content, there) in places.items():
        assert there in content, f"{place} cannot have been searched"
        allowed = [] if place != "later output" else [s.encode() for s, one in life.secrets.items() if one]
        assert [secret for secret in secrets if secret in content and secret not in allowed] == [], place
    for secret, shown_by in life.secrets.items():
        assert [one for one in life.printed if secret in one.out + one.err] == (
            [shown_by] if shown_by else []
        )
    searched = {path: path.read_bytes() for path in lab.home.rglob("*") if path.is_file()}
    assert [path for path, content in searched.items() if any(secret in content for secret in secrets)] == []
    assert {"pg_wal", "base"} <= {
        part for path, it in searched.items() if b"sec-made" in it for part in path.parts
    }
    assert any(path.name == "server.log" for path in searched)


def dump(database: Database) -> bytes:
    """Every column of every table of every schema, and the statements that PostgreSQL remembers."""
    queries = [f"SELECT row_to_json(t)::text FROM {table} t" for table in database.tables()]
    queries.append("SELECT query FROM pg_stat_activity")
    return "\n".join(str(row[0]) for query in queries for row in database.ask(query)).encode()


def asterisk_files(lab: Lab) -> bytes:
    """The console, every log file and the internal database."""
    folders = ("/var/lib/asterisk", "/var/log/asterisk", "/var/spool/asterisk", "/etc/asterisk", "/tmp")
    held = lab.asterisk.container.run("find", *folders, "-type", "f", "-exec", "cat", "{}", "+")
    assert "SQLite format 3" in held, "there is no internal database"
    return (lab.asterisk.logs() + held).encode()


def ami_answers(lab: Lab, number: str) -> bytes:
    """All that AMI says of an auth."""
    lab.asterisk.rx("module load func_sorcery.so")
    node = lab.settings["nodes"]["lab"]
    fields = ("password", "password_digest", "md5_cred", "username")
    actions = [
        f"Action: Login\r\nUsername: provisioner\r\nSecret: {(lab.home / 'ami.secret').read_text().strip()}",
        "Action: PJSIPShowAuths",
        f"Action: PJSIPShowEndpoint\r\nEndpoint: {number}",
        *(f"Action: Getvar\r\nVariable: AST_SORCERY(res_pjsip,auth,{number},{field})" for field in fields),
        "Action: Logoff",
    ]
    said = b""
    with socket.create_connection(("127.0.0.1", node["port"]), timeout=10) as connection:
        connection.sendall("".join(f"{action}\r\n\r\n" for action in actions).encode())
        while chunk := connection.recv(65536):
            said += chunk
    assert f"Value: {number}\r\n".encode() in said, "AST_SORCERY shows nothing"
    return said


@pytest.mark.parametrize(
    ("lines", "secret", "why"),
    [
        (1, "Wq7#kLz!vT2", "add 1 more"),
        (2, "W", "add 11 more"),
        (3, "Wq7#kLz!vT29", "add 2 more"),
        (5, "Wq7#kLz!vT29", "add 6 more"),
        (1, "passwordpassword", "easy to guess"),
        (1, "123456789012", "easy to guess"),
        (1, "{login}{login}", "made of the login"),
        (1, "Anna-Kowalska-{login}", "made of the login"),
    ],
)
def test_a_chosen_secret_that_is_too_short_or_guessable_is_refused_and_the_old_one_works(
    lab: Lab, add_user: AddUser, lines: int, secret: str, why: str
) -> None:
    user = add_user(lines=lines)
    typed = secret.format(login=user.login)
    done = Inside(lab)("user", "secret", user.login, "--secret-stdin", stdin=typed.encode())
    assert done.code == 1
    assert done.err.startswith("error: secret: ")
    assert why in done.err
    assert len(typed) < 3 or typed not in done.err
    assert answer_to_register(lab, user.number, user.secret) == 200


def test_a_secret_of_just_the_length_that_the_lines_ask_for_registers(lab: Lab, add_user: AddUser) -> None:
    for lines, secret in ((2, "Wq7#kLz!vT29"), (3, "Wq7#kLz!vT29xQ"), (5, "Wq7#kLz!vT29xQd&4s")):
        user = add_user(lines=lines, stdin=f"{secret}\n")
        assert answer_to_register(lab, user.number, user.secret) == 200


SIGNS = "Zk;^3B\"7'\\q%$X{p}_w&,<|> ~"


@pytest.mark.parametrize(
    "storage", ["digest", pytest.param("plain", marks=pytest.mark.lab(sip_secret_storage="plain"))]
)
def test_a_secret_of_any_signs_registers_however_it_is_kept(
    lab: Lab, add_user: AddUser, phone: MakePhone, storage: str
) -> None:
    made, chosen = add_user(), add_user(stdin=f"{SIGNS}\n")
    assert phone(made, register=False).register() == 200
    assert answer_to_register(lab, chosen.number, chosen.secret) == 200
    assert answer_to_register(lab, chosen.number, Secret(SIGNS[:2])) == 401
    kept = Database(lab).ask("SELECT password FROM ps_auths WHERE id = %(id)s", {"id": made.number})
    assert kept == [(made.secret.reveal() if storage == "plain" else None,)]
    for shown in (("user", "show", made.login), ("user", "list"), ("status", made.number)):
        assert made.secret.reveal() not in lab.must(*shown, "--json")


def answer_to_register(lab: Lab, number: str, secret: Secret) -> int:
    """Register once, by hand: the phones and SIPp take no secret with quotes, spaces or semicolons."""
    host, _, port = lab.sip.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.settimeout(5)
        wire.connect((host, int(port)))
        own = wire.getsockname()[1]
        uri = f"sip:{lab.sip}"

        def ask(sequence: int, authorization: str = "") -> str:
            wire.send(
                f"REGISTER {uri} SIP/2.0\r\n"
                f"Via: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{own}{sequence}\r\n"
                f"From: <sip:{number}@{host}>;tag={own}\r\nTo: <sip:{number}@{host}>\r\n"
                f"Call-ID: {own}-{number}\r\nCSeq: {sequence} REGISTER\r\n"
                f"Contact: <sip:{number}@127.0.0.1:{own}>\r\nExpires: 60\r\n"
                f"Max-Forwards: 70\r\n{authorization}Content-Length: 0\r\n\r\n".encode()
            )
            while not (answer := wire.recv(65536).decode()).startswith("SIP/2.0"):
                pass
            return answer

        challenge = dict(re.findall(r'(\w+)="([^"]*)"', ask(1)))
        proof = md5(
            md5(f"{number}:{challenge['realm']}:{secret.reveal()}"),
            f"{challenge['nonce']}:00000001:c:auth",
            md5(f"REGISTER:{uri}"),
        )
        answer = ask(
            2,
            f'Authorization: Digest username="{number}", realm="{challenge["realm"]}", uri="{uri}", '
            f'nonce="{challenge["nonce"]}", opaque="{challenge.get("opaque", "")}", algorithm=MD5, qop=auth, '
            f'nc=00000001, cnonce="c", response="{proof}"\r\n',
        )
    return int(answer.split()[1])


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()
