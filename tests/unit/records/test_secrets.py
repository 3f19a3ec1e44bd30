"""SIP secrets: made, checked, digested, never shown."""

import hashlib
import math
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import InvalidRecord
from provisioner.records import check_secret, digest, generate_secret, matches, required_length
from provisioner.records.secrets import ALPHABET
from provisioner.secret import Secret

STRONG = "fish-Kettle.42-orbit!plum"


def refusal(text: str, lines: int = 1, context: tuple[str, ...] = ()) -> str:
    with pytest.raises(InvalidRecord) as caught:
        check_secret(Secret(text), lines, context)
    (problem,) = caught.value.problems
    assert problem.field == "secret"
    return problem.message


def test_a_made_secret_has_24_typeable_characters_and_at_least_128_bits() -> None:
    made = generate_secret().reveal()
    assert len(made) == 24
    assert set(made) <= set(ALPHABET) <= set(string.ascii_letters + string.digits)
    assert 24 * math.log2(len(set(ALPHABET))) > 128


def test_every_character_of_a_made_secret_is_as_likely_as_any_other() -> None:
    drawn = Counter("".join(generate_secret().reveal() for _ in range(20_000)))
    even = 20_000 * 24 / len(ALPHABET)
    # Nine standard deviations; the smallest bias that bytes can bring is 25 %.
    assert all(abs(drawn[char] - even) < even / 10 for char in ALPHABET)


def test_made_secrets_differ_and_pass_the_check() -> None:
    made = {generate_secret() for _ in range(20)}
    assert len(made) == 20
    for secret in made:
        check_secret(secret, lines=8, context=("ivan", "Ivan Petrov", "7001"))


@pytest.mark.parametrize(("lines", "needed"), [(1, 12), (2, 12), (3, 14), (8, 24), (99, 206)])
def test_each_line_beyond_the_second_asks_for_two_characters_more(lines: int, needed: int) -> None:
    assert required_length(lines) == needed
    long = (STRONG * 9)[: needed - 1]
    assert f"{needed} characters are needed" in refusal(long, lines)
    assert "add 1 more" in refusal(long, lines)
    check_secret(Secret((STRONG * 9)[:needed]), lines)


def test_a_short_secret_is_told_how_many_characters_to_add() -> None:
    assert "add 9 more" in refusal("abc")
    assert "add 12 more" in refusal("")


@pytest.mark.parametrize(
    "guessable",
    ["123456789012", "passwordpassword", "qwertyuiop12", "aaaaaaaaaaaa", "abcabcabcabcabcabc" * 10],
)
def test_a_guessable_secret_is_refused(guessable: str) -> None:
    assert "easy to guess" in refusal(guessable)


@pytest.mark.parametrize("secret", ["ivanpetrov7001", "Petrov.Ivan.7001", "7001-petrov-IVAN", "ИванИванИван"])
def test_a_secret_made_of_login_name_and_number_is_refused(secret: str) -> None:
    message = refusal(secret, context=("ivan", "Ivan Petrov", "7001", "Иван"))
    assert "easy to guess" in message or "characters that phones encode differently" in message


def test_a_secret_that_only_contains_the_login_among_strong_words_is_accepted() -> None:
    check_secret(Secret(f"ivan-{STRONG}"), context=("ivan", "Ivan Petrov", "7001"))


@pytest.mark.parametrize(
    "char", ["\n", "\r", "\0", "\t", "\x7f", "ż", "Ж", "😀", "\u202e", "\u00a0", "\ud800"]
)
def test_a_secret_with_characters_that_phones_encode_differently_is_refused(char: str) -> None:
    assert "characters that phones encode differently" in refusal(STRONG + char)


def test_a_secret_with_spaces_around_it_is_refused_and_within_it_is_not() -> None:
    assert "space" in refusal(f" {STRONG}")
    assert "space" in refusal(f"{STRONG} ")
    check_secret(Secret("fish kettle orbit plum"))


@pytest.mark.parametrize("sign", [";", "^", '"', "'", "\\", "${x}", "%", "_", "<>", "=,&|"])
def test_a_strong_secret_may_hold_any_sign(sign: str) -> None:
    check_secret(Secret(sign + STRONG + sign))


def test_a_secret_of_10000_characters_is_refused_at_once() -> None:
    assert "at most 256" in refusal("x1" * 5000)


@given(st.text(max_size=60))
def test_no_refusal_repeats_the_secret(text: str) -> None:
    secret = f"{text}-q9"
    said = ""
    try:
        check_secret(Secret(secret), lines=3, context=("login",))
    except InvalidRecord as exc:
        said = f"{exc} {exc!r}"
    assert secret not in said


def test_the_digests_are_those_of_user_realm_and_secret() -> None:
    made = digest(Secret("s3cret"), "7001", "asterisk")
    assert made.md5 == hashlib.md5(b"7001:asterisk:s3cret").hexdigest()
    assert made.sha256 == hashlib.sha256(b"7001:asterisk:s3cret").hexdigest()
    assert made.plain is None
    assert made.realm == "asterisk"


def test_the_secret_itself_is_kept_only_when_asked_for() -> None:
    assert digest(Secret("s3cret"), "7001", "asterisk", keep_plain=True).plain == Secret("s3cret")


def test_credentials_show_neither_digests_nor_secret() -> None:
    made = digest(Secret("s3cret"), "7001", "asterisk", keep_plain=True)
    for part in (made.md5, made.sha256, "s3cret"):
        assert part not in repr(made)
        assert part not in str(made)


def test_only_the_secret_itself_matches_its_credentials() -> None:
    made = digest(Secret("s3cret"), "7001", "asterisk")
    assert matches(Secret("s3cret"), made, "7001")
    assert not matches(Secret("S3cret"), made, "7001")
    assert not matches(Secret("s3cret"), made, "7002")
