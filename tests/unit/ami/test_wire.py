"""Frames and headers, without a socket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.ami.wire import FrameSplitter, check_headers, parse_frame
from provisioner.errors import UnsupportedValue
from tests.unit.ami.fake import BANNER, recorded


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_frames_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    data = BANNER + recorded("contacts")
    splitter = FrameSplitter()
    frames = []
    for start in range(0, len(data), size):
        frames += splitter.feed(data[start : start + size])
    assert frames == FrameSplitter().feed(data)
    assert [frame["UserAgent"] for frame in frames if "UserAgent" in frame].count("Żółw 📞/1") == 1
    assert splitter.banner == "Asterisk Call Manager/11.0.0"


def test_a_repeated_header_keeps_all_its_values() -> None:
    frame = parse_frame("Response: Success\r\nOutput: one\r\nOutput: \r\nOutput: three")
    assert frame["Output"] == "one\n\nthree"


def test_a_value_may_contain_colons_and_be_empty() -> None:
    assert parse_frame("Uri: sip:1@[::1]: x\r\nPath: \r\nOld:") == {
        "Uri": "sip:1@[::1]: x",
        "Path": "",
        "Old": "",
    }


def test_bytes_that_are_no_utf8_show_as_replacement_characters() -> None:
    (frame,) = FrameSplitter().feed(BANNER + b"Event: X\r\nUserAgent: \xff\xfe\r\n\r\n")
    assert frame["UserAgent"] == "��"


@pytest.mark.parametrize("line", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"A" * 500])
def test_another_protocol_is_recognised_by_its_first_bytes(line: bytes) -> None:
    with pytest.raises(ValueError, match="first line"):
        FrameSplitter().feed(line)


def test_a_frame_without_end_is_not_collected_for_ever() -> None:
    splitter = FrameSplitter(longest=1000)
    splitter.feed(BANNER)
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        splitter.feed(b"Event: " + b"x" * 1000)


@pytest.mark.parametrize("bad", ["7001\r\nAction: Reload", "a\nb", "a\rb", "a\0b", "\ud800", "x" * 1011])
def test_a_header_that_would_end_its_line_is_refused_without_showing_it(bad: str) -> None:
    with pytest.raises(UnsupportedValue) as refused:
        check_headers({"Secret": bad})
    assert "Secret" in str(refused.value)
    assert bad not in str(refused.value)


@pytest.mark.parametrize("bad", ["", "A B", "A:B", "A\r\n", "Ä"])
def test_a_header_name_is_a_word(bad: str) -> None:
    with pytest.raises(UnsupportedValue):
        check_headers({bad: "x"})


@given(st.text())
def test_any_text_is_one_header_or_is_refused(value: str) -> None:
    try:
        check_headers({"Object": value})
    except UnsupportedValue:
        return
    assert f"Object: {value}\r\n".encode().count(b"\r\n") == 1
