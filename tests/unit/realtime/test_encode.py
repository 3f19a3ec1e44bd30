"""Values survive the way through Asterisk's realtime, which splits at ; and decodes ^XX."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.realtime import decode_value, encode_value


def read_by_asterisk(value: str) -> list[str]:
    """The pieces that res_config_pgsql makes of a column value: split, strip, decode, drop empty ones."""
    pieces = []
    for piece in value.split(";"):
        raw = re.sub(rb"\^([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), piece.strip().encode())
        if raw:
            pieces.append(raw.decode())
    return pieces


texts = st.text(st.one_of(st.sampled_from("^;3B5E \t"), st.characters(exclude_categories=["Cs"])), min_size=1)


@given(texts)
def test_asterisk_reads_every_text_back_whole(text: str) -> None:
    assert read_by_asterisk(encode_value(text)) == [text]


@given(texts)
def test_decoding_is_the_inverse_of_encoding(text: str) -> None:
    assert decode_value(encode_value(text)) == text


@given(texts)
def test_an_encoded_value_holds_no_separator(text: str) -> None:
    assert ";" not in encode_value(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("ab;cd", "ab^3Bcd"),
        ("ab^cd", "ab^5Ecd"),
        ("^3B", "^5E3B"),
        ("plain", "plain"),
        (" x ", "^20x^20"),
        (" ", "^20"),
        ("", ""),
        ("żółć", "żółć"),
    ],
)
def test_only_what_realtime_would_change_is_written_otherwise(text: str, written: str) -> None:
    assert encode_value(text) == written


def test_codes_that_others_wrote_are_decoded_too() -> None:
    assert decode_value("a^20b^c5^bc") == "a bż"
    assert decode_value("100^% ^zz") == "100^% ^zz"
