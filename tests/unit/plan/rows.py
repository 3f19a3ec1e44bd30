"""Rows as hypothesis makes them, with the columns that ours have."""

from collections.abc import Mapping

from hypothesis import strategies as st

from provisioner.realtime import AORS, AUTHS, ENDPOINTS, Row, Rows, Value

COLUMNS: Mapping[str, tuple[str, ...]] = {
    AUTHS: ("username", "realm", "password", "md5_cred", "password_digest"),
    AORS: ("max_contacts", "remove_existing"),
    ENDPOINTS: ("auth", "aors", "callerid", "context", "transport"),
}

_NUMBERS = st.one_of(st.none(), st.integers(1, 99))
_WORDS = st.one_of(st.none(), st.sampled_from(["yes", "no", "a", "b", '"Ж" <7001>']))
_SECRETS = st.one_of(st.none(), st.sampled_from(["s3cr3t-one", "s3cr3t-two", f"MD5:{'5ec' * 10}aa"]))


def _values(column: str) -> st.SearchStrategy[Value]:
    if column in ("password", "md5_cred", "password_digest"):
        return _SECRETS
    return _NUMBERS if column == "max_contacts" else _WORDS


def _row(table: str) -> st.SearchStrategy[Row]:
    return st.fixed_dictionaries({column: _values(column) for column in COLUMNS[table]})


rows = st.builds(
    Rows,
    st.fixed_dictionaries(
        {
            table: st.dictionaries(
                st.sampled_from(["7001", "7002", "7003", "7001-x"]), _row(table), max_size=4
            )
            for table in COLUMNS
        }
    ),
)
