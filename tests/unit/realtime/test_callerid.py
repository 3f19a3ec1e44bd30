"""The caller ID carries as much of a name as fits, never half a letter, and always the number."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import UnsupportedValue
from provisioner.realtime import decode_value
from provisioner.realtime.callerid import NAME_BYTES, callerid, graphemes

UPSTREAM = 40

names = st.text(
    st.one_of(
        st.sampled_from('";^\\ <>${}é😀👍\U0001f3fd\u200d\u0301\ufe0f\U0001f1f5\U0001f1f1żЖש'),
        st.characters(exclude_categories=("Cs", "Cc")),
    ),
    max_size=150,
)


def shown(value: str) -> tuple[str, str]:
    """Name and number as Asterisk reads them: decoded, out of the quotes, without the escapes."""
    found = re.fullmatch(r'"(.*)" <([0-9]+)>', decode_value(value), re.DOTALL)
    assert found is not None
    return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL), found[2]


@given(names, st.from_regex(r"[0-9]{2,15}", fullmatch=True), st.one_of(st.none(), st.integers(25, 300)))
def test_the_name_is_a_beginning_of_the_record_s_name_and_the_number_is_whole(
    name: str, number: str, width: int | None
) -> None:
    value = callerid(name, number, width)
    composed = unicodedata.normalize("NFC", name)
    kept, dialled = shown(value)
    assert dialled == number
    assert composed.startswith(kept)
    assert width is None or len(value) <= width
    assert len(kept.encode()) <= NAME_BYTES
    assert list(graphemes(kept)) == list(graphemes(composed))[: len(list(graphemes(kept)))]


@given(names)
def test_no_more_is_cut_than_must_be(name: str) -> None:
    composed = unicodedata.normalize("NFC", name)
    kept, _ = shown(callerid(name, "7001", None))
    left = composed[len(kept) :]
    spaces = left[: len(left) - len(left.lstrip())]
    following = next(graphemes(left.lstrip()), "")
    assert not left or len((kept + spaces + following).encode()) > NAME_BYTES


@pytest.mark.parametrize(
    "name",
    ["Ivan Petrov", "Иван Иванов", "Zażółć gęślą", "שלום", "😀", "👨\u200d👩\u200d👧", 'A "B" C', "A\\B",
     "A;B^C", "${EXTEN}", "100%_x", "a,b|c&d", "O'Neil", "<sip:x@y>", "A > B"],
)  # fmt: skip
def test_a_name_that_fits_is_shown_unchanged(name: str) -> None:
    assert shown(callerid(name, "7001", UPSTREAM)) == (name, "7001")


def test_quotes_and_separators_are_escaped() -> None:
    assert callerid('A "B" \\ ;^', "7001", None) == '"A \\"B\\" \\\\ ^3B^5E" <7001>'


def test_a_long_name_is_cut_to_the_column() -> None:
    value = callerid("x" * 200, "7001", UPSTREAM)
    assert value == f'"{"x" * 31}" <7001>'
    assert len(value) == UPSTREAM


def test_escapes_are_never_cut_in_half() -> None:
    for width in range(10, 40):
        assert set(shown(callerid(";" * 30, "7001", width))[0]) <= {";"}
        assert set(shown(callerid('"' * 30, "7001", width))[0]) <= {'"'}


def test_a_long_name_is_cut_where_asterisk_would_break_a_letter() -> None:
    assert shown(callerid("ж" * 60, "7001", None))[0] == "ж" * 39
    assert shown(callerid("😀" * 60, "7001", None))[0] == "😀" * 19


def test_an_accent_an_emoji_and_a_flag_are_kept_whole_or_left_out() -> None:
    family = "👨\u200d👩\u200d👧"
    assert list(graphemes(f"x\u0301{family}🇵🇱🇵🇱👍🏽✈\ufe0f")) == [
        "x\u0301",
        family,
        "🇵🇱",
        "🇵🇱",
        "👍🏽",
        "✈\ufe0f",
    ]
    assert shown(callerid(f"ab{family}", "7001", len('"ab" <7001>') + 4)) == ("ab", "7001")


def test_no_space_is_left_where_the_name_was_cut() -> None:
    assert shown(callerid("Ivan Petrov", "7001", len('"Ivan " <7001>'))) == ("Ivan", "7001")


def test_a_name_is_composed_so_that_more_of_it_fits() -> None:
    assert callerid("e\u0301", "7001", None) == '"é" <7001>'


def test_a_column_too_narrow_for_the_number_is_an_error_that_says_how_to_mend_it() -> None:
    assert callerid("Ivan", "123456789012345", 20) == '"" <123456789012345>'
    with pytest.raises(UnsupportedValue, match="ALTER TABLE ps_endpoints ALTER COLUMN callerid"):
        callerid("Ivan", "123456789012345", 19)
