"""What rows a record becomes."""

from dataclasses import replace

import pytest

from provisioner.errors import SchemaOutdated, UnsupportedValue
from provisioner.realtime import AORS, AUTHS, ENDPOINTS, TABLES, Row, compile_user, compile_users
from provisioner.realtime.mapping import CONSTANTS, PERSONAL, Constant, Personal
from provisioner.records import User
from tests.unit.realtime.people import COLUMNS, Options, columns, credentials, extension, user

UPSTREAM = {
    "ps_endpoints": {"callerid": 40, "context": 40, "auth": 40, "aors": 200, "allow": 200},
    "ps_auths": {"username": 40, "realm": 255, "password": 80, "md5_cred": 40, "password_digest": 1024},
}


def row(table: str, who: User | None = None, options: Options | None = None, id: str = "7001") -> Row:
    found = compile_user(who or user(), options or Options(), COLUMNS).get(table, id)
    assert found is not None
    return found


def test_each_extension_has_one_row_of_the_same_id_in_each_table() -> None:
    who = user("Ivan", extension("7001"), extension("7002"), extension("7001", label="support"))
    rows = compile_user(who, Options(), COLUMNS)
    assert [sorted(rows[table]) for table in TABLES] == [["7001", "7001-support", "7002"]] * 3


def test_an_inactive_user_has_no_rows() -> None:
    assert len(compile_user(user(active=False), Options(), COLUMNS)) == 0


def test_lines_are_the_phones_that_may_register_and_the_calls_that_make_busy() -> None:
    who = user("Ivan", extension(lines=2))
    assert row(AORS, who)["max_contacts"] == 2
    assert row(ENDPOINTS, who)["device_state_busy_at"] == 2


@pytest.mark.parametrize(("full_aor", "remove_existing"), [("replace", "yes"), ("refuse", "no")])
def test_a_full_aor_replaces_or_refuses_as_set(full_aor: str, remove_existing: str) -> None:
    assert row(AORS, options=Options(full_aor=full_aor))["remove_existing"] == remove_existing


def test_sound_is_encrypted_as_set_and_dtls_brings_its_own_certificate() -> None:
    names = ("media_encryption", "dtls_auto_generate_cert", "dtls_verify", "dtls_setup")
    found = {
        word: tuple(row(ENDPOINTS, options=Options(media_encryption=word))[name] for name in names)
        for word in ("no", "sdes", "dtls")
    }
    assert found == {
        "no": (None, None, None, None),
        "sdes": ("sdes", None, None, None),
        "dtls": ("dtls", "yes", "fingerprint", "actpass"),
    }


def test_a_browser_gets_dtls_whatever_is_set_for_phones_and_phones_keep_it() -> None:
    both = [replace(user(), webrtc=True), replace(user("Anna", extension("7002")), login="anna")]
    rows = compile_users(both, Options(media_encryption="sdes"), COLUMNS)
    names = ("webrtc", "media_encryption", "dtls_auto_generate_cert", "dtls_verify", "dtls_setup")
    assert {id: tuple(row[name] for name in names) for id, row in rows[ENDPOINTS].items()} == {
        "7001": ("yes", "dtls", "yes", "fingerprint", "actpass"),
        "7002": (None, "sdes", None, None, None),
    }


def test_a_database_that_cannot_hold_a_browser_refuses_it_and_no_phone() -> None:
    old = columns(without=frozenset({(ENDPOINTS, "webrtc")}))
    assert compile_user(user(), Options(), old)
    with pytest.raises(SchemaOutdated, match=r"ps_endpoints\.webrtc"):
        compile_user(replace(user(), webrtc=True), Options(), old)


def test_every_endpoint_names_its_auth_and_aor() -> None:
    who = user("Ivan", extension("7001"), extension("7001", label="support"))
    for id in ("7001", "7001-support"):
        endpoint = row(ENDPOINTS, who, id=id)
        assert (endpoint["auth"], endpoint["aors"]) == (id, id)
        assert row(AUTHS, who, id=id)["username"] == id


def test_both_digests_are_written_and_no_secret() -> None:
    auth = row(AUTHS)
    made = credentials("7001")
    assert auth["auth_type"] == "userpass"
    assert auth["password_digest"] == f"MD5:{made.md5},SHA-256:{made.sha256}"
    assert (auth["password"], auth["md5_cred"], auth["realm"]) == (None, None, "asterisk")
    assert (auth["supported_algorithms_uas"], auth["supported_algorithms_uac"]) == (None, None)


def test_the_realm_is_that_of_the_digests_whatever_the_settings_say_now() -> None:
    made = extension()
    other = type(made)("7001", made.kind, 1, credentials("7001", realm="office"))
    assert row(AUTHS, user("Ivan", other))["realm"] == "office"


def test_a_database_without_password_digest_gets_the_md5_digest() -> None:
    old = columns(without=frozenset({(AUTHS, "password_digest")}))
    auth = compile_user(user(), Options(), old)[AUTHS]["7001"]
    assert (auth["auth_type"], auth["md5_cred"]) == ("md5", credentials("7001").md5)
    assert auth["password"] is None
    assert "password_digest" not in auth


def test_plain_storage_writes_the_secret_and_no_digest() -> None:
    who = user("Ivan", extension(plain=True))
    auth = row(AUTHS, who, Options(sip_secret_storage="plain"))
    assert (auth["auth_type"], auth["password"]) == ("userpass", "s3cret")
    assert (auth["password_digest"], auth["md5_cred"]) == (None, None)


def test_plain_storage_falls_back_to_digests_where_the_secret_is_not_known() -> None:
    auth = row(AUTHS, options=Options(sip_secret_storage="plain"))
    assert auth["password"] is None
    assert str(auth["password_digest"]).startswith("MD5:")


def test_a_secret_that_was_kept_in_plain_is_not_written_once_digests_are_asked_for() -> None:
    assert "s3cret" not in str(row(AUTHS, user("Ivan", extension(plain=True))))


def test_every_text_is_encoded_for_realtime() -> None:
    assert row(ENDPOINTS, user('A;B^C "x"'))["callerid"] == '"A^3BB^5EC \\"x\\"" <7001>'
    plain = type(extension())("7001", extension().kind, 1, credentials("7001", "ab;cd^ef", plain=True))
    assert row(AUTHS, user("I", plain), Options(sip_secret_storage="plain"))["password"] == "ab^3Bcd^5Eef"
    assert row(ENDPOINTS, options=Options(context="a;b"))["context"] == "a^3Bb"


def test_an_alias_shows_the_number_and_not_its_id() -> None:
    who = user("Ivan", extension("7001"), extension("7001", label="support"))
    assert row(ENDPOINTS, who, id="7001-support")["callerid"] == '"Ivan" <7001>'


def test_the_settings_reach_the_rows() -> None:
    options = Options(context="office", codecs=("ALAW", "opus", "alaw"), language="pl", qualify_frequency=30,
                      min_expiration=1, default_expiration=2, max_expiration=3)  # fmt: skip
    endpoint, aor = row(ENDPOINTS, options=options), row(AORS, options=options)
    assert (endpoint["context"], endpoint["disallow"], endpoint["allow"]) == ("office", "all", "alaw,opus")
    assert endpoint["language"] == "pl"
    assert [aor[f"{which}_expiration"] for which in ("minimum", "default", "maximum")] == [1, 2, 3]
    assert aor["qualify_frequency"] == 30


def test_an_unknown_codec_is_refused_because_it_would_hide_every_endpoint() -> None:
    with pytest.raises(UnsupportedValue, match="no codec 'bogus'"):
        compile_user(user(), Options(codecs=("alaw", "bogus")), COLUMNS)
    with pytest.raises(UnsupportedValue, match="no codec is given"):
        compile_user(user(), Options(codecs=()), COLUMNS)


@pytest.mark.parametrize("field", [f for f in (*CONSTANTS, *PERSONAL) if f.essential], ids=lambda f: f.column)
def test_a_database_that_lacks_an_essential_column_is_refused_with_the_way_to_mend_it(
    field: Constant | Personal,
) -> None:
    table, column = field.table, field.column
    with pytest.raises(SchemaOutdated) as caught:
        compile_user(user(), Options(), columns(without=frozenset({(table, column)})))
    assert f"{table}.{column}" in str(caught.value)
    assert "provisioner db upgrade --asterisk-tables" in str(caught.value)


@pytest.mark.parametrize(
    "field", [f for f in (*CONSTANTS, *PERSONAL) if not f.essential], ids=lambda f: f"{f.table}.{f.column}"
)
def test_any_other_column_that_the_database_lacks_is_not_written(field: Constant | Personal) -> None:
    table, column = field.table, field.column
    rows = compile_user(user(), Options(), columns(without=frozenset({(table, column)})))
    assert column in row(table)
    assert column not in rows[table]["7001"]


def test_a_database_without_any_column_for_digests_is_refused() -> None:
    bare = columns(without=frozenset({(AUTHS, "password_digest"), (AUTHS, "md5_cred")}))
    with pytest.raises(SchemaOutdated, match=r"ps_auths\.password_digest"):
        compile_user(user(), Options(), bare)


def test_a_database_without_a_table_is_refused() -> None:
    with pytest.raises(SchemaOutdated, match="ps_aors"):
        compile_user(user(), Options(), {t: names for t, names in COLUMNS.items() if t != AORS})


def test_the_rows_fit_the_columns_that_asterisk_s_own_migrations_make() -> None:
    who = user("Ж" * 200, extension("123456789012345", label="x" * 20))
    rows = compile_user(who, Options(), columns(UPSTREAM))
    for table, _, values in rows:
        for column, width in UPSTREAM.get(table, {}).items():
            assert len(str(values[column] or "")) <= width
    assert rows[ENDPOINTS][f"123456789012345-{'x' * 20}"]["callerid"] == f'"{"Ж" * 20}" <123456789012345>'


def test_a_value_too_long_for_its_column_is_refused_without_showing_it() -> None:
    plain = type(extension())("7001", extension().kind, 1, credentials("7001", "q7" * 60, plain=True))
    with pytest.raises(UnsupportedValue, match=r"ps_auths\.password holds 80 characters, and 120") as caught:
        compile_user(user("I", plain), Options(sip_secret_storage="plain"), columns(UPSTREAM))
    assert "q7" not in str(caught.value)


@pytest.mark.parametrize("id", ["70_1", "70%", "7001;", "ABC", "żółw", "", "7001 ", "7001\n"])
def test_an_id_that_asterisk_would_confuse_with_others_is_refused(id: str) -> None:
    with pytest.raises(UnsupportedValue, match="endpoint id"):
        compile_user(user("I", extension(id)), Options(), COLUMNS)


def test_many_users_compile_to_what_each_of_them_does() -> None:
    people = [
        user("A", extension("7001")),
        user("B", extension("7002")),
        user("C", extension("7003"), active=False),
    ]
    together = compile_users(people, Options(), COLUMNS)
    assert together == compile_user(people[0], Options(), COLUMNS) | compile_user(
        people[1], Options(), COLUMNS
    )


def test_two_extensions_of_one_id_are_refused() -> None:
    with pytest.raises(UnsupportedValue, match="7001"):
        compile_users([user("A"), user("B")], Options(), COLUMNS)


def test_every_column_of_the_mapping_is_one_that_asterisk_has_and_says_why() -> None:
    seen = [(field.table, field.column) for field in (*CONSTANTS, *PERSONAL)]
    assert len(set(seen)) == len(seen)
    assert all(column in COLUMNS[table] for table, column in seen)
    assert all(field.why for field in (*CONSTANTS, *PERSONAL))
