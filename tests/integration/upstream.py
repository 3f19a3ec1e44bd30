"""Databases as Asterisk's own migrations (contrib/ast-db-manage) leave them, for the tests of adoption.

Written down from what such databases hold: narrow texts, enums, the tables of later versions missing or
shorter, and upstream's own table of migrations beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

YESNO = "yes no"
BOOL = "0 1 off on false true no yes"

ENUMS: Mapping[str, str] = {
    "yesno_values": YESNO,
    "ast_bool_values": BOOL,
    "pjsip_100rel_values": "no required yes",
    "pjsip_100rel_values_v2": "no required peer_supported yes",
    "pjsip_auth_type_values_v2": "md5 userpass google_oauth",
    "pjsip_cid_privacy_values": "allowed_not_screened allowed_passed_screened allowed_failed_screened "
    "allowed prohib_not_screened prohib_passed_screened prohib_failed_screened prohib unavailable",
    "pjsip_connected_line_method_values": "invite reinvite update",
    "pjsip_direct_media_glare_mitigation_values": "none outgoing incoming",
    "pjsip_dtls_setup_values": "active passive actpass",
    "pjsip_dtmf_mode_values_v3": "rfc4733 inband info auto auto_info",
    "pjsip_media_encryption_values": "no sdes dtls",
    "pjsip_redirect_method_values": "user uri_core uri_pjsip",
    "pjsip_t38udptl_ec_values": "none fec redundancy",
    "pjsip_timer_values": "forced no required yes",
    "sha_hash_values": "SHA-1 SHA-256",
    "security_negotiation_values": "no mediasec",
}

# Of both versions; {bool} is yesno_values at first, ast_bool_values later, {wide} 40 and then 255.
_ENDPOINT: Mapping[str, str] = {
    "varchar(40)": "transport context external_media_address mailboxes moh_suggest callerid callerid_tag "
    "call_group pickup_group named_call_group named_pickup_group tone_zone language record_on_feature "
    "record_off_feature rtp_engine sdp_owner sdp_session from_domain from_user mwi_from_user dtls_verify "
    "dtls_rekey media_address message_context voicemail_extension acl contact_acl subscribe_context "
    "incoming_mwi_mailbox",
    "varchar({wide})": "auth outbound_auth outbound_proxy",
    "varchar(80)": "identify_by accountcode contact_user",
    "varchar(95)": "deny permit contact_deny contact_permit",
    "varchar(10)": "tos_audio tos_video",
    "varchar(200)": "disallow allow dtls_cert_file dtls_private_key dtls_cipher dtls_ca_file dtls_ca_path",
    "text": "set_var",
    "integer": "timers_min_se timers_sess_expires device_state_busy_at t38_udptl_maxdatagram sub_min_expiry "
    "cos_audio cos_video rtp_keepalive rtp_timeout rtp_timeout_hold fax_detect_timeout max_audio_streams "
    "max_video_streams",
    "{bool}": "direct_media disable_direct_media_on_nat force_rport ice_support rewrite_contact rtp_ipv6 "
    "rtp_symmetric send_diversion send_pai send_rpid aggregate_mwi trust_id_inbound trust_id_outbound "
    "use_ptime use_avpf inband_progress fax_detect t38_udptl t38_udptl_nat t38_udptl_ipv6 "
    "one_touch_recording allow_transfer allow_subscribe srtp_tag_32 force_avp media_use_received_transport "
    "user_eq_phone moh_passthrough media_encryption_optimistic rpid_immediate g726_non_standard "
    "bind_rtp_to_media_address preferred_codec_only asymmetric_rtp_codec rtcp_mux allow_overlap "
    "refer_blind_progress notify_early_inuse_ringing webrtc bundle dtls_auto_generate_cert "
    "follow_early_media_fork accept_multiple_sdp_answers suppress_q850_reason_headers",
    "ast_bool_values": "mwi_subscribe_replaces_unsolicited trust_connected_line send_connected_line "
    "ignore_183_without_sdp",
    "pjsip_connected_line_method_values": "connected_line_method direct_media_method",
    "pjsip_direct_media_glare_mitigation_values": "direct_media_glare_mitigation",
    "pjsip_dtmf_mode_values_v3": "dtmf_mode",
    "pjsip_timer_values": "timers",
    "pjsip_cid_privacy_values": "callerid_privacy",
    "{rel}": "100rel",
    "pjsip_media_encryption_values": "media_encryption",
    "pjsip_t38udptl_ec_values": "t38_udptl_ec",
    "pjsip_dtls_setup_values": "dtls_setup",
    "pjsip_redirect_method_values": "redirect_method",
    "sha_hash_values": "dtls_fingerprint",
}

_ENDPOINT_22: Mapping[str, str] = {
    "varchar(2048)": "aors",
    "varchar(80)": "geoloc_incoming_call_profile geoloc_outgoing_call_profile stir_shaken_profile "
    "overlap_context tenantid",
    "varchar(95)": "follow_redirect_methods",
    "varchar(128)": "codec_prefs_incoming_offer codec_prefs_outgoing_offer codec_prefs_incoming_answer "
    "codec_prefs_outgoing_answer",
    "varchar(512)": "security_mechanisms",
    "ast_bool_values": "stir_shaken send_history_info allow_unauthenticated_options "
    "t38_bind_udptl_to_media_address send_aoc suppress_moh_on_sendonly",
    "security_negotiation_values": "security_negotiation",
}

_TABLES_16: Mapping[str, Mapping[str, str]] = {
    "ps_endpoints": {**_ENDPOINT, "varchar(2047)": "aors"},
    "ps_auths": {
        "pjsip_auth_type_values_v2": "auth_type",
        "integer": "nonce_lifetime",
        "varchar(40)": "md5_cred realm username",
        "varchar(80)": "password",
        "varchar(255)": "refresh_token oauth_clientid oauth_secret",
    },
    "ps_aors": {
        "varchar(255)": "contact",
        "varchar(80)": "mailboxes",
        "varchar(40)": "outbound_proxy voicemail_extension",
        "integer": "default_expiration max_contacts minimum_expiration maximum_expiration qualify_frequency",
        "double precision": "qualify_timeout",
        "{bool}": "remove_existing authenticate_qualify support_path",
    },
    "ps_contacts": {
        "varchar(511)": "uri",
        "bigint": "expiration_time",
        "integer": "qualify_frequency via_port",
        "varchar(40)": "outbound_proxy via_addr endpoint",
        "text": "path",
        "varchar(255)": "user_agent call_id reg_server",
        "double precision": "qualify_timeout",
        "{bool}": "authenticate_qualify prune_on_boot",
    },
    "ps_endpoint_id_ips": {"varchar(40)": "endpoint", "varchar(80)": "match", "{bool}": "srv_lookups"},
    "ps_domain_aliases": {"varchar(80)": "domain"},
}

_MORE_22: Mapping[str, Mapping[str, str]] = {
    "ps_endpoints": _ENDPOINT_22,
    "ps_auths": {"varchar(1024)": "password_digest supported_algorithms_uas supported_algorithms_uac"},
    "ps_aors": {"ast_bool_values": "remove_unavailable qualify_2xx_only"},
    "ps_contacts": {"ast_bool_values": "qualify_2xx_only"},
    "ps_endpoint_id_ips": {"varchar(255)": "match_header match_request_uri"},
    "ps_domain_aliases": {},
}


def asterisk_16() -> str:
    """As Asterisk 16's migrations leave it."""
    words = {"bool": "yesno_values", "rel": "pjsip_100rel_values", "wide": "40"}
    return ";\n".join([*_enums(), *_tables(words, 40, {}), *_versions("alembic_version", "fbb7766f17bc")])


def asterisk_22() -> str:
    """As Asterisk 22's migrations leave it."""
    words = {"bool": "ast_bool_values", "rel": "pjsip_100rel_values_v2", "wide": "255"}
    return ";\n".join(
        [*_enums(), *_tables(words, 255, _MORE_22), *_versions("alembic_version_config", "4f91fc18c979")]
    )


def _enums() -> Iterator[str]:
    for name, values in ENUMS.items():
        listed = ", ".join(f"'{value}'" for value in values.split())
        yield f"CREATE TYPE {name} AS ENUM ({listed})"


def _tables(words: Mapping[str, str], id_width: int, more: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for table, columns in _TABLES_16.items():
        found = [
            f'"{name}" {sql_type.format(**words)}'
            for group in (columns, more.get(table, {}))
            for sql_type, names in group.items()
            for name in names.split()
            if not (name == "aors" and sql_type == "varchar(2047)" and more)
        ]
        width = 255 if table == "ps_contacts" else id_width
        yield f"CREATE TABLE {table} (id varchar({width}) NOT NULL UNIQUE, {', '.join(found)})"
        yield f"CREATE INDEX {table}_id ON {table} (id)"


def _versions(table: str, version: str) -> Iterator[str]:
    yield f"CREATE TABLE {table} (version_num varchar(32) NOT NULL PRIMARY KEY)"
    yield f"INSERT INTO {table} VALUES ('{version}')"
