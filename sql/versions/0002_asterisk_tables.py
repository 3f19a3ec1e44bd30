"""Asterisk's tables where they are missing, and the rule that an endpoint needs an auth.

The columns are those of Asterisk 22.10, written out here once and for all; what the code knows today is in
provisioner/realtime/columns.py. Tables that exist, made by Asterisk's own migrations, are left alone.
"""

from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# One column a line: its name, then its type. Each table has an id besides.
TABLES = {
    "ps_endpoints": """
        aors character varying(2048)
        auth character varying(2048)
        outbound_auth character varying(2048)
        allow character varying(2048)
        disallow character varying(2048)
        mailboxes character varying(2048)
        set_var character varying(2048)
        acl character varying(2048)
        deny character varying(2048)
        permit character varying(2048)
        contact_acl character varying(2048)
        contact_deny character varying(2048)
        contact_permit character varying(2048)
        security_mechanisms character varying(2048)
        callerid character varying(255)
        callerid_tag character varying(255)
        context character varying(255)
        message_context character varying(255)
        subscribe_context character varying(255)
        overlap_context character varying(255)
        transport character varying(255)
        outbound_proxy character varying(255)
        from_user character varying(255)
        from_domain character varying(255)
        contact_user character varying(255)
        mwi_from_user character varying(255)
        incoming_mwi_mailbox character varying(255)
        voicemail_extension character varying(255)
        accountcode character varying(255)
        tenantid character varying(255)
        moh_suggest character varying(255)
        language character varying(255)
        tone_zone character varying(255)
        media_address character varying(255)
        sdp_owner character varying(255)
        sdp_session character varying(255)
        rtp_engine character varying(255)
        identify_by character varying(255)
        follow_redirect_methods character varying(255)
        call_group character varying(255)
        pickup_group character varying(255)
        named_call_group character varying(255)
        named_pickup_group character varying(255)
        record_on_feature character varying(255)
        record_off_feature character varying(255)
        codec_prefs_incoming_offer character varying(255)
        codec_prefs_outgoing_offer character varying(255)
        codec_prefs_incoming_answer character varying(255)
        codec_prefs_outgoing_answer character varying(255)
        stir_shaken_profile character varying(255)
        geoloc_incoming_call_profile character varying(255)
        geoloc_outgoing_call_profile character varying(255)
        dtls_cert_file character varying(255)
        dtls_private_key character varying(255)
        dtls_cipher character varying(255)
        dtls_ca_file character varying(255)
        dtls_ca_path character varying(255)
        100rel character varying(40)
        aggregate_mwi character varying(40)
        allow_overlap character varying(40)
        callerid_privacy character varying(40)
        direct_media_glare_mitigation character varying(40)
        direct_media_method character varying(40)
        trust_connected_line character varying(40)
        send_connected_line character varying(40)
        connected_line_method character varying(40)
        direct_media character varying(40)
        disable_direct_media_on_nat character varying(40)
        dtmf_mode character varying(40)
        bind_rtp_to_media_address character varying(40)
        force_rport character varying(40)
        ice_support character varying(40)
        redirect_method character varying(40)
        mwi_subscribe_replaces_unsolicited character varying(40)
        rewrite_contact character varying(40)
        rtp_ipv6 character varying(40)
        rtp_symmetric character varying(40)
        send_diversion character varying(40)
        send_history_info character varying(40)
        send_pai character varying(40)
        send_rpid character varying(40)
        rpid_immediate character varying(40)
        timers character varying(40)
        trust_id_inbound character varying(40)
        trust_id_outbound character varying(40)
        use_ptime character varying(40)
        use_avpf character varying(40)
        force_avp character varying(40)
        media_use_received_transport character varying(40)
        media_encryption character varying(40)
        media_encryption_optimistic character varying(40)
        g726_non_standard character varying(40)
        inband_progress character varying(40)
        t38_udptl character varying(40)
        t38_udptl_ec character varying(40)
        fax_detect character varying(40)
        t38_udptl_nat character varying(40)
        t38_udptl_ipv6 character varying(40)
        t38_bind_udptl_to_media_address character varying(40)
        one_touch_recording character varying(40)
        allow_transfer character varying(40)
        user_eq_phone character varying(40)
        moh_passthrough character varying(40)
        tos_audio character varying(40)
        tos_video character varying(40)
        allow_subscribe character varying(40)
        dtls_verify character varying(40)
        dtls_rekey character varying(40)
        dtls_auto_generate_cert character varying(40)
        dtls_setup character varying(40)
        dtls_fingerprint character varying(40)
        srtp_tag_32 character varying(40)
        preferred_codec_only character varying(40)
        incoming_call_offer_pref character varying(40)
        outgoing_call_offer_pref character varying(40)
        asymmetric_rtp_codec character varying(40)
        rtcp_mux character varying(40)
        refer_blind_progress character varying(40)
        notify_early_inuse_ringing character varying(40)
        bundle character varying(40)
        webrtc character varying(40)
        follow_early_media_fork character varying(40)
        accept_multiple_sdp_answers character varying(40)
        suppress_q850_reason_headers character varying(40)
        ignore_183_without_sdp character varying(40)
        stir_shaken character varying(40)
        allow_unauthenticated_options character varying(40)
        security_negotiation character varying(40)
        send_aoc character varying(40)
        suppress_moh_on_sendonly character varying(40)
        timers_min_se integer
        timers_sess_expires integer
        device_state_busy_at integer
        t38_udptl_maxdatagram integer
        fax_detect_timeout integer
        cos_audio integer
        cos_video integer
        sub_min_expiry integer
        rtp_keepalive integer
        rtp_timeout integer
        rtp_timeout_hold integer
        rtp_port_start integer
        rtp_port_end integer
        max_audio_streams integer
        max_video_streams integer
    """,
    "ps_auths": """
        auth_type character varying(40)
        username character varying(255)
        realm character varying(255)
        password character varying(255)
        md5_cred character varying(255)
        refresh_token character varying(255)
        oauth_clientid character varying(255)
        oauth_secret character varying(255)
        password_digest character varying(2048)
        supported_algorithms_uac character varying(2048)
        supported_algorithms_uas character varying(2048)
        nonce_lifetime integer
    """,
    "ps_aors": """
        contact character varying(2048)
        mailboxes character varying(2048)
        outbound_proxy character varying(255)
        voicemail_extension character varying(255)
        remove_existing character varying(40)
        remove_unavailable character varying(40)
        authenticate_qualify character varying(40)
        support_path character varying(40)
        qualify_2xx_only character varying(40)
        max_contacts integer
        default_expiration integer
        minimum_expiration integer
        maximum_expiration integer
        qualify_frequency integer
        qualify_timeout double precision
    """,
    "ps_contacts": """
        uri text
        path text
        user_agent text
        endpoint character varying(255)
        reg_server character varying(255)
        via_addr character varying(255)
        call_id character varying(255)
        outbound_proxy character varying(255)
        authenticate_qualify character varying(40)
        prune_on_boot character varying(40)
        qualify_2xx_only character varying(40)
        expiration_time bigint
        qualify_frequency integer
        via_port integer
        qualify_timeout double precision
    """,
    "ps_endpoint_id_ips": """
        match character varying(2048)
        endpoint character varying(255)
        match_header character varying(255)
        match_request_uri character varying(255)
        srv_lookups character varying(40)
    """,
    "ps_domain_aliases": """
        domain character varying(255)
    """,
}

# Those of upstream's migrations, and one for Asterisk's search of an AOR's contacts (id LIKE 'aor;@%').
INDEXES = {
    "ps_aors": {"ps_aors_qualifyfreq_contact": "(qualify_frequency, contact)"},
    "ps_contacts": {
        "ps_contacts_qualifyfreq_exptime": "(qualify_frequency, expiration_time)",
        "ps_contacts_id_prefix": "(id varchar_pattern_ops)",
    },
}

# Asterisk takes an endpoint whose auth is empty as one that needs none: its phone registers without being
# asked for a secret. Both rules look when the transaction ends, so the order of writing is free. FOR KEY
# SHARE keeps another transaction from deleting the auth meanwhile.
RULES = (
    """
    CREATE FUNCTION provisioner.endpoint_needs_auth() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        named text;
        rows integer;
        one text;
        found_one integer;
    BEGIN
        EXECUTE format('SELECT auth FROM %I.ps_endpoints WHERE id = $1', TG_TABLE_SCHEMA)
            INTO named USING NEW.id;
        GET DIAGNOSTICS rows = ROW_COUNT;
        IF rows = 0 THEN
            RETURN NULL;
        END IF;
        IF btrim(coalesce(named, ''), ', ') = '' THEN
            RAISE EXCEPTION 'endpoint % has no auth: its phone would register without a secret', NEW.id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoint_needs_auth',
                      SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
        END IF;
        FOREACH one IN ARRAY string_to_array(named, ',') LOOP
            EXECUTE format('SELECT 1 FROM %I.ps_auths WHERE id = $1 FOR KEY SHARE', TG_TABLE_SCHEMA)
                INTO found_one USING btrim(one);
            IF found_one IS NULL AND btrim(one) <> '' THEN
                RAISE EXCEPTION 'endpoint % names an auth that does not exist', NEW.id
                    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'endpoint_needs_auth',
                          SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
            END IF;
        END LOOP;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION provisioner.auth_is_needed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        there integer;
        endpoint text;
    BEGIN
        EXECUTE format('SELECT 1 FROM %I.ps_auths WHERE id = $1', TG_TABLE_SCHEMA) INTO there USING OLD.id;
        IF there IS NOT NULL THEN
            RETURN NULL;
        END IF;
        EXECUTE format(
            'SELECT id FROM %1$I.ps_endpoints WHERE auth = $1 UNION ALL '
            'SELECT id FROM %1$I.ps_endpoints WHERE auth ~ ''[, ]'' '
            'AND $1 = ANY (string_to_array(replace(auth, '' '', ''''), '','')) LIMIT 1', TG_TABLE_SCHEMA)
            INTO endpoint USING OLD.id;
        IF endpoint IS NOT NULL THEN
            RAISE EXCEPTION 'auth % is still needed by endpoint %', OLD.id, endpoint
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'auth_is_needed',
                      SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION provisioner.guard_auths(tables_in text) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE format('CREATE INDEX IF NOT EXISTS ps_endpoints_auth ON %I.ps_endpoints (auth)', tables_in);
        EXECUTE format('CREATE INDEX IF NOT EXISTS ps_endpoints_auth_list ON %I.ps_endpoints (auth) '
            'WHERE auth ~ ''[, ]''', tables_in);
        EXECUTE format('DROP TRIGGER IF EXISTS endpoint_needs_auth ON %I.ps_endpoints', tables_in);
        EXECUTE format('DROP TRIGGER IF EXISTS auth_is_needed ON %I.ps_auths', tables_in);
        EXECUTE format('CREATE CONSTRAINT TRIGGER endpoint_needs_auth AFTER INSERT OR UPDATE OF id, auth '
            'ON %I.ps_endpoints DEFERRABLE INITIALLY DEFERRED FOR EACH ROW '
            'EXECUTE FUNCTION provisioner.endpoint_needs_auth()', tables_in);
        EXECUTE format('CREATE CONSTRAINT TRIGGER auth_is_needed AFTER DELETE OR UPDATE OF id '
            'ON %I.ps_auths DEFERRABLE INITIALLY DEFERRED FOR EACH ROW '
            'EXECUTE FUNCTION provisioner.auth_is_needed()', tables_in);
    END
    $$
    """,
)


def upgrade() -> None:
    run = op.get_bind().exec_driver_sql
    schema = context.config.attributes["asterisk_schema"]
    for statement in RULES:
        run(statement, execution_options={"no_parameters": True})  # they hold percent signs
    run(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    made = [
        table for table in TABLES if not run("SELECT to_regclass(%s)", (full_name(schema, table),)).scalar()
    ]
    for table in made:
        run(f"CREATE TABLE {full_name(schema, table)} ({columns(table)})")
        run("INSERT INTO provisioner.made_tables (schema_name, table_name) VALUES (%s, %s)", (schema, table))
        for name, of in INDEXES.get(table, {}).items():
            run(f"CREATE INDEX {name} ON {full_name(schema, table)} {of}")
    # With one of the two alone we would judge rows of a table that is not ours.
    if {"ps_endpoints", "ps_auths"} <= set(made):
        run("SELECT provisioner.guard_auths(%s)", (schema,))


def columns(table: str) -> str:
    lines = [line.split(maxsplit=1) for line in TABLES[table].splitlines() if line.strip()]
    return ", ".join(
        ["id character varying(255) PRIMARY KEY", *(f"{quoted(name)} {sql_type}" for name, sql_type in lines)]
    )


def full_name(schema: str, table: str) -> str:
    return f"{quoted(schema)}.{quoted(table)}"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
