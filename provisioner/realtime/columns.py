"""Every column of the six tables that Asterisk reads, with the type we make it with.

Source: ``config show help res_pjsip endpoint|auth|aor|contact|domain_alias`` and
``config show help res_pjsip_endpoint_identifier_ip identify`` of Asterisk 22.10, less ``type``, which
names the kind of object and is no column. An acceptance test holds this against a running Asterisk.

Names are upstream's. Types are upstream's too, but for two things: words such as ``yes`` are varchar
instead of enums, because Asterisk accepts more words than upstream's enums have, and texts are wider.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, and its type as PostgreSQL's ``format_type`` writes it."""

    name: str
    sql_type: str


ID: Final = Column("id", "character varying(255)")

_WORD = "character varying(40)"
_TEXT = "character varying(255)"
_LIST = "character varying(2048)"
_LONG = "text"
_INT = "integer"
_SECONDS = "double precision"


def _columns(*groups: tuple[str, str]) -> tuple[Column, ...]:
    def each() -> Iterator[Column]:
        yield ID
        for sql_type, names in groups:
            for name in names.split():
                yield Column(name, sql_type)

    return tuple(each())


_ENDPOINT = _columns(
    (_LIST, "aors auth outbound_auth allow disallow mailboxes set_var acl deny permit contact_acl"),
    (_LIST, "contact_deny contact_permit security_mechanisms"),
    (_TEXT, "callerid callerid_tag context message_context subscribe_context overlap_context transport"),
    (_TEXT, "outbound_proxy from_user from_domain contact_user mwi_from_user incoming_mwi_mailbox"),
    (_TEXT, "voicemail_extension accountcode tenantid moh_suggest language tone_zone media_address"),
    (_TEXT, "sdp_owner sdp_session rtp_engine identify_by follow_redirect_methods"),
    (_TEXT, "call_group pickup_group named_call_group named_pickup_group record_on_feature"),
    (_TEXT, "record_off_feature codec_prefs_incoming_offer codec_prefs_outgoing_offer"),
    (_TEXT, "codec_prefs_incoming_answer codec_prefs_outgoing_answer stir_shaken_profile"),
    (_TEXT, "geoloc_incoming_call_profile geoloc_outgoing_call_profile dtls_cert_file dtls_private_key"),
    (_TEXT, "dtls_cipher dtls_ca_file dtls_ca_path"),
    (_WORD, "100rel aggregate_mwi allow_overlap callerid_privacy direct_media_glare_mitigation"),
    (_WORD, "direct_media_method trust_connected_line send_connected_line connected_line_method"),
    (_WORD, "direct_media disable_direct_media_on_nat dtmf_mode bind_rtp_to_media_address force_rport"),
    (_WORD, "ice_support redirect_method mwi_subscribe_replaces_unsolicited rewrite_contact rtp_ipv6"),
    (_WORD, "rtp_symmetric send_diversion send_history_info send_pai send_rpid rpid_immediate timers"),
    (_WORD, "trust_id_inbound trust_id_outbound use_ptime use_avpf force_avp"),
    (_WORD, "media_use_received_transport media_encryption media_encryption_optimistic"),
    (_WORD, "g726_non_standard inband_progress t38_udptl t38_udptl_ec fax_detect t38_udptl_nat"),
    (_WORD, "t38_udptl_ipv6 t38_bind_udptl_to_media_address one_touch_recording allow_transfer"),
    (_WORD, "user_eq_phone moh_passthrough tos_audio tos_video allow_subscribe dtls_verify dtls_rekey"),
    (_WORD, "dtls_auto_generate_cert dtls_setup dtls_fingerprint srtp_tag_32 preferred_codec_only"),
    (_WORD, "incoming_call_offer_pref outgoing_call_offer_pref asymmetric_rtp_codec rtcp_mux"),
    (_WORD, "refer_blind_progress notify_early_inuse_ringing bundle webrtc follow_early_media_fork"),
    (_WORD, "accept_multiple_sdp_answers suppress_q850_reason_headers ignore_183_without_sdp"),
    (_WORD, "stir_shaken allow_unauthenticated_options security_negotiation send_aoc"),
    (_WORD, "suppress_moh_on_sendonly"),
    (_INT, "timers_min_se timers_sess_expires device_state_busy_at t38_udptl_maxdatagram"),
    (_INT, "fax_detect_timeout cos_audio cos_video sub_min_expiry rtp_keepalive rtp_timeout"),
    (_INT, "rtp_timeout_hold rtp_port_start rtp_port_end max_audio_streams max_video_streams"),
)

_AUTH = _columns(
    (_WORD, "auth_type"),
    (_TEXT, "username realm password md5_cred refresh_token oauth_clientid oauth_secret"),
    (_LIST, "password_digest supported_algorithms_uac supported_algorithms_uas"),
    (_INT, "nonce_lifetime"),
)

_AOR = _columns(
    (_LIST, "contact mailboxes"),
    (_TEXT, "outbound_proxy voicemail_extension"),
    (_WORD, "remove_existing remove_unavailable authenticate_qualify support_path qualify_2xx_only"),
    (_INT, "max_contacts default_expiration minimum_expiration maximum_expiration qualify_frequency"),
    (_SECONDS, "qualify_timeout"),
)

_CONTACT = _columns(
    (_LONG, "uri path user_agent"),
    (_TEXT, "endpoint reg_server via_addr call_id outbound_proxy"),
    (_WORD, "authenticate_qualify prune_on_boot qualify_2xx_only"),
    ("bigint", "expiration_time"),
    (_INT, "qualify_frequency via_port"),
    (_SECONDS, "qualify_timeout"),
)

_IDENTIFY = _columns(
    (_LIST, "match"),
    (_TEXT, "endpoint match_header match_request_uri"),
    (_WORD, "srv_lookups"),
)

ASTERISK_COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = MappingProxyType(
    {
        "ps_endpoints": _ENDPOINT,
        "ps_auths": _AUTH,
        "ps_aors": _AOR,
        "ps_contacts": _CONTACT,
        "ps_endpoint_id_ips": _IDENTIFY,
        "ps_domain_aliases": _columns((_TEXT, "domain")),
    }
)
"""Table to its columns, the id first."""
