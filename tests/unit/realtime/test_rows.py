"""Rows are values: put together, picked from, compared, and never printed."""

import pytest

from provisioner.realtime import AORS, AUTHS, ENDPOINTS, Rows, merge

ONE = Rows({AUTHS: {"7001": {"password_digest": "MD5:abc"}}, AORS: {"7001": {"max_contacts": 1}}})
OTHER = Rows({AORS: {"7002": {"max_contacts": 2}}})


def test_every_table_is_there_even_when_it_has_no_rows() -> None:
    assert ONE[ENDPOINTS] == {}
    assert ONE.get(ENDPOINTS, "7001") is None
    assert len(Rows()) == 0


def test_rows_are_put_together() -> None:
    both = ONE | OTHER
    assert both.ids() == {"7001", "7002"}
    assert both == merge([OTHER, ONE])
    assert [(table, id) for table, id, _ in both] == [(AUTHS, "7001"), (AORS, "7001"), (AORS, "7002")]
    assert merge([]) == Rows()


def test_two_rows_of_the_same_table_and_id_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="7001"):
        merge([ONE, ONE])


def test_rows_of_some_ids_are_picked() -> None:
    assert (ONE | OTHER).only({"7002", "7003"}) == OTHER


def test_a_table_that_is_not_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="ps_contacts"):
        Rows({"ps_contacts": {}})


def test_rows_cannot_be_changed_and_do_not_change_with_what_they_were_made_of() -> None:
    given = {AORS: {"7001": {"max_contacts": 1}}}
    rows = Rows(given)
    given[AORS]["7002"] = {"max_contacts": 2}
    assert rows.ids() == {"7001"}
    with pytest.raises(TypeError):
        rows[AORS]["7003"] = {}  # type: ignore[index]


def test_the_repr_counts_and_shows_no_value() -> None:
    assert "abc" not in repr(ONE)
    assert "ps_auths: 1" in repr(ONE)
