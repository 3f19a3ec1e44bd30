"""Settings: file, environment, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.errors import SettingsError
from provisioner.settings import Settings, load

EXAMPLES = Path(__file__).parents[2] / "examples"


def read(tmp_path: Path, text: str, **environ: str) -> Settings:
    file = tmp_path / "provisioner.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ)


def refusal(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text, **environ)
    return str(refused.value)


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load(None, {"PROVISIONER_HOME": str(tmp_path)})
    assert settings.source is None
    assert settings.home == tmp_path
    assert [str(numbers) for numbers in settings.numbers.ranges] == ["7000-7999"]
    assert settings.nodes == ()


def test_the_annotated_example_shows_exactly_the_defaults(tmp_path: Path) -> None:
    example, empty = load(EXAMPLES / "provisioner.toml", {}), read(tmp_path, "")
    assert (example.database, example.numbers, example.asterisk) == (
        empty.database,
        empty.numbers,
        empty.asterisk,
    )
    assert load(EXAMPLES / "office.toml", {}).asterisk.full_aor == "refuse"


def test_every_setting_stands_in_the_annotated_example() -> None:
    text = (EXAMPLES / "provisioner.toml").read_text(encoding="utf-8")
    for section in ("database", "numbers", "asterisk"):
        for key in type(load(EXAMPLES / "office.toml", {}).__getattribute__(section)).model_fields:
            assert f"{key} = " in text or key == "asterisk_password", f"{section}.{key} is not in the example"


def test_the_environment_lies_over_the_file(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        "[asterisk]\nsip_port = 5070\ncodecs = ['opus']\n[nodes.pbx-1]\nsecret = 'aaaa'\n",
        PROVISIONER_ASTERISK_SIP_PORT="5080",
        PROVISIONER_ASTERISK_CODECS="ulaw, alaw",
        PROVISIONER_NODES_PBX_1_PORT="5039",
        PROVISIONER_NODES_PBX2_SECRET="bbbb",
    )
    assert settings.asterisk.sip_port == 5080
    assert settings.asterisk.codecs == ("ulaw", "alaw")
    assert settings.node("pbx-1").port == 5039
    assert settings.node("pbx2").read_secret().reveal() == "bbbb"


def test_every_wrong_setting_is_named_with_its_file_and_key(tmp_path: Path) -> None:
    text = refusal(
        tmp_path,
        "[asterisk]\nsip_port = 99999\nfull_aor = 'maybe'\ncolour = 'red'\n[nodes.pbx1]\nhost = 'a b'\n",
        PROVISIONER_ASTERISK_DRIVR="odbc",
        PROVISIONER_NUMBERS_REST_DAYS="soon",
    )
    file = tmp_path / "provisioner.toml"
    for expected in (
        f"{file}: asterisk.sip_port: ",
        f"{file}: asterisk.full_aor: ",
        f"{file}: asterisk.colour: unknown setting",
        f"{file}: nodes.pbx1.host: ",
        "environment: PROVISIONER_ASTERISK_DRIVR: no such setting; did you mean PROVISIONER_ASTERISK_DRIVER?",
        "environment: PROVISIONER_NUMBERS_REST_DAYS: ",
    ):
        assert expected in text


@pytest.mark.parametrize("bad", ["7000", "7000-699", "7999-7000", "a-b", "7000-700\n0", "٧٠٠٠-٧٩٩٩"])
def test_a_wrong_range_is_refused(tmp_path: Path, bad: str) -> None:
    variable = "PROVISIONER_NUMBERS_RANGES"
    assert f"environment: {variable}: " in refusal(tmp_path, "", **{variable: bad})


@pytest.mark.parametrize("value", ["users\nexten => x", "a;b", "[x]", "a b", "", "${X}", "a=>b"])
@pytest.mark.parametrize("key", ["context", "realm", "language"])
def test_a_word_that_could_end_a_line_is_refused(tmp_path: Path, key: str, value: str) -> None:
    variable = f"PROVISIONER_ASTERISK_{key.upper()}"
    assert variable in refusal(tmp_path, "", **{variable: value})


def test_a_refusal_never_repeats_a_secret(tmp_path: Path) -> None:
    text = refusal(
        tmp_path, "[database]\nurl = ['hunter2']\n[nodes.a]\nsecret = 'hunter3'\nsecret_file = 'x'\n"
    )
    assert "database.url" in text
    assert "hunter" not in text


def test_a_secret_file_is_found_beside_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "pbx.secret").write_text("s3cret\n", encoding="utf-8")
    settings = read(tmp_path, "[nodes.pbx1]\nsecret_file = 'pbx.secret'\n")
    assert settings.node("pbx1").read_secret().reveal() == "s3cret"
    assert "s3cret" not in repr(settings)


def test_a_missing_secret_file_is_named_with_its_key(tmp_path: Path) -> None:
    settings = read(tmp_path, "[nodes.pbx1]\nsecret_file = 'no.secret'\n")
    with pytest.raises(SettingsError, match=r"nodes\.pbx1\.secret_file: cannot read .*no\.secret"):
        settings.node("pbx1").read_secret()


def test_the_database_is_checked_in_full_where_a_ca_is_named(tmp_path: Path) -> None:
    url = "[database]\nurl = 'postgresql://db/x'\n"
    assert read(tmp_path, url).database.tls() == {}
    assert read(tmp_path, f"{url}sslrootcert = 'ca.pem'\n").database.tls() == {
        "sslmode": "verify-full",
        "sslrootcert": str(tmp_path / "ca.pem"),
    }
    both = f"{url}sslmode = 'verify-ca'\nsslrootcert = 'system'\n"
    assert read(tmp_path, both).database.tls() == {"sslmode": "verify-ca", "sslrootcert": "system"}
    assert "database: sslmode and sslrootcert need a url" in refusal(
        tmp_path, "[database]\nsslmode = 'require'\n"
    )


def test_keys_in_sip_messages_need_a_transport_that_hides_them(tmp_path: Path) -> None:
    assert "needs transport tls" in refusal(tmp_path, "[asterisk]\nmedia_encryption = 'sdes'\n")
    assert read(tmp_path, "[asterisk]\nmedia_encryption = 'dtls'\n").asterisk.media_encryption == "dtls"


@pytest.mark.parametrize("setting", ["tls_ca = 'ca.pem'", "tls_server_name = 'pbx.example'"])
def test_a_node_with_half_of_tls_is_refused(tmp_path: Path, setting: str) -> None:
    text = refusal(tmp_path, f"[nodes.pbx1]\nsecret = 'aaaa'\n{setting}\n")
    assert "nodes.pbx1: tls_ca and tls_server_name mean nothing without tls = true" in text
    assert read(tmp_path, f"[nodes.pbx1]\nsecret = 'aaaa'\ntls = true\n{setting}\n").nodes[0].tls


def test_nothing_switches_the_check_of_a_certificate_off(tmp_path: Path) -> None:
    text = refusal(tmp_path, "[nodes.pbx1]\nsecret = 'aaaa'\ntls = true\ntls_verify = false\n")
    assert "nodes.pbx1.tls_verify: unknown setting" in text


def test_a_file_that_is_not_toml_is_named(tmp_path: Path) -> None:
    assert "provisioner.toml: is not valid TOML" in refusal(tmp_path, "[asterisk\n")
    with pytest.raises(SettingsError, match=r"missing\.toml: cannot be read"):
        load(tmp_path / "missing.toml", {})


def test_an_unknown_node_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    settings = read(tmp_path, "[nodes.pbx1]\nsecret = 'aaaa'\n")
    with pytest.raises(SettingsError, match=r"no node 'pbx9'.*known: pbx1"):
        settings.node("pbx9")
