"""Phones of one process register as phones do, and tell a refusal from a server that only asks again."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from provisioner.lab.latencies import Latencies, quantile
from provisioner.lab.sip import Prober, Registrant, storm
from provisioner.secret import Secret
from tests.unit.lab.registrar import Registrar, header

T = TypeVar("T")
TEXT = "kUVq4fEw8hBt2mYxN6rDzJcA"


def phone_of(registrar: Registrar, work: Callable[[Registrant], Awaitable[T]], secret: str = TEXT) -> T:
    """What happens to phone 7000 of this registrar."""

    async def main() -> T:
        async with registrar, Prober() as prober:
            return await work(prober.phone("7000", Secret(secret), registrar.server))

    return asyncio.run(main())


@pytest.fixture
def registrar() -> Registrar:
    return Registrar({"7000": TEXT})


@pytest.mark.parametrize(
    "challenge",
    [
        'realm="pbx", nonce="{nonce}", algorithm=SHA-256, qop="auth"',
        'realm="pbx", nonce="{nonce}", algorithm=MD5, qop="auth", opaque="o"',
        'realm="pbx", nonce="{nonce}"',
    ],
)
def test_a_phone_registers_with_every_digest(challenge: str) -> None:
    registrar = Registrar({"7000": TEXT}, challenges=(challenge,))
    assert phone_of(registrar, lambda phone: phone.register()).status == 200


def test_a_wrong_secret_is_refused_and_not_tried_again(registrar: Registrar) -> None:
    answer = phone_of(registrar, lambda phone: phone.register(), secret="another-one")
    assert answer.status == 401
    assert len(registrar.requests) == 2


def test_a_stale_nonce_is_answered_anew_but_not_for_ever() -> None:
    once, always = Registrar({"7000": TEXT}, stale=1), Registrar({"7000": TEXT}, stale=100)
    assert phone_of(once, lambda phone: phone.register()).status == 200
    assert len(once.requests) == 3
    assert phone_of(always, lambda phone: phone.register()).status == 401
    assert len(always.requests) == 4


def test_registrations_of_a_phone_share_a_call_id_and_their_cseq_goes_up(registrar: Registrar) -> None:
    async def twice(phone: Registrant) -> None:
        await phone.register(expires=90)
        await phone.unregister()

    phone_of(registrar, twice)
    assert len({header(request, "Call-ID") for request in registrar.requests}) == 1
    assert len({header(request, "From") for request in registrar.requests}) == 1
    assert len({header(request, "Via") for request in registrar.requests}) == 4
    cseqs = [header(request, "CSeq") for request in registrar.requests]
    assert cseqs == ["1 REGISTER", "2 REGISTER", "3 REGISTER", "4 REGISTER"]
    assert [header(request, "Expires") for request in registrar.requests] == ["90", "90", "0", "0"]


def test_a_request_that_was_lost_is_sent_again_word_for_word() -> None:
    registrar = Registrar({"7000": TEXT}, lost=2)
    answer = phone_of(registrar, lambda phone: phone.register())
    assert answer.status == 200
    assert answer.seconds >= 0.5 + 1
    assert len(set(registrar.requests[:3])) == 1


def test_no_answer_in_time_is_status_0(registrar: Registrar) -> None:
    registrar.silent = {"7000"}
    answer = phone_of(registrar, lambda phone: phone.register(timeout=0.7))
    assert answer.status == 0
    assert answer.seconds >= 0.7
    assert len(set(registrar.requests)) == 1


def test_showing_the_secret_or_knocking_registers_nothing(registrar: Registrar) -> None:
    async def both(phone: Registrant) -> tuple[int, int]:
        return (await phone.knock()).status, (await phone.log_in()).status

    assert phone_of(registrar, both) == (401, 200)
    assert not [request for request in registrar.requests if "Contact:" in request]


def test_a_phone_that_is_asked_for_its_health_answers(registrar: Registrar) -> None:
    request = (
        "OPTIONS sip:7000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx\r\n"
        "From: <sip:pbx@127.0.0.1>;tag=1\r\nTo: <sip:7000@127.0.0.1>\r\nCall-ID: c\r\nCSeq: 7 OPTIONS\r\n\r\n"
    )

    async def asked(phone: Registrant) -> None:
        await phone.knock()
        port = re.search(r":(\d+);rport", registrar.requests[0])
        assert port
        registrar.send(request, int(port[1]))
        async with asyncio.timeout(10):
            while not registrar.answers:
                await asyncio.sleep(0.01)

    phone_of(registrar, asked)
    assert registrar.answers[0].startswith("SIP/2.0 200 OK\r\n")
    assert header(registrar.answers[0], "Via") == "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx"
    assert header(registrar.answers[0], "CSeq") == "7 OPTIONS"
    assert ";tag=" in header(registrar.answers[0], "To")


def test_a_phone_shows_its_secret_nowhere(registrar: Registrar) -> None:
    shown = phone_of(registrar, lambda phone: asyncio.sleep(0, f"{phone!r} {vars(phone)}"))
    assert TEXT not in shown


def test_a_storm_goes_on_while_some_are_not_answered() -> None:
    ids = [str(number) for number in range(7000, 7020)]
    registrar = Registrar(dict.fromkeys(ids, TEXT), silent={"7003", "7004"})

    async def main() -> Latencies:
        async with registrar, Prober() as prober:
            phones = [prober.phone(id, Secret(TEXT), registrar.server) for id in ids]
            phones[7].secret = Secret("another-one")
            return await storm(phones, rate=200, seconds=0.2, timeout=3)

    seen = asyncio.run(main())
    assert (seen.answered, seen.lost) == (36, 4)
    assert seen.statuses == {200: 34, 401: 2}
    assert 0 < seen.p50 <= seen.p99 <= seen.worst


def test_a_storm_ends_when_it_is_told_to(registrar: Registrar) -> None:
    async def main() -> Latencies:
        async with registrar, Prober() as prober:
            over = asyncio.Event()
            phones = [prober.phone("7000", Secret(TEXT), registrar.server)]
            task = asyncio.create_task(storm(phones, rate=100, seconds=3600, until=over))
            async with asyncio.timeout(10):
                while not registrar.requests:
                    await asyncio.sleep(0.01)
            over.set()
            return await task

    assert asyncio.run(main()).answered > 0


def test_a_quantile_is_a_value_that_was_seen() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert (quantile(hundred, 0.5), quantile(hundred, 0.99), quantile(hundred, 1)) == (50, 99, 100)
    assert (quantile([3.0], 0.99), quantile([], 0.5)) == (3, 0)
