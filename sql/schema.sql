-- What the migrations in versions/ make of an empty database, for reading, or for creating it by hand.
-- Generated: python -m provisioner.store.schema > sql/schema.sql
-- Create an empty database and run this file in it as the role that database.url names.

CREATE SCHEMA provisioner;

COMMENT ON SCHEMA provisioner IS 'Users and extensions as provisioner keeps them; not for Asterisk.';

CREATE FUNCTION provisioner.auth_is_needed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    DECLARE
        lost text := '(SELECT $2 AS id)';
        its_id text;
    BEGIN
        IF TG_LEVEL = 'ROW' THEN
            its_id := OLD.id;
        ELSE
            lost := 'deleted';
        END IF;
        EXECUTE format(
            'INSERT INTO provisioner.unjudged (tables_in, endpoint_id, lost_auth) '
            'SELECT $1, e.id, lost.id FROM %1$I.ps_endpoints e JOIN %2$s lost ON e.auth = lost.id '
            'UNION ALL SELECT $1, e.id, lost.id FROM %1$I.ps_endpoints e '
            'CROSS JOIN unnest(string_to_array(replace(e.auth, '' '', ''''), '','')) AS named '
            'JOIN %2$s lost ON lost.id = named WHERE e.auth ~ ''[, ]''', TG_TABLE_SCHEMA, lost)
            USING TG_TABLE_SCHEMA, its_id;
        RETURN NULL;
    END
    $_$;

CREATE FUNCTION provisioner.endpoint_needs_auth() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    BEGIN
        IF TG_LEVEL = 'ROW' THEN
            INSERT INTO provisioner.unjudged (tables_in, endpoint_id) VALUES (TG_TABLE_SCHEMA, NEW.id);
            RETURN NULL;
        END IF;
        EXECUTE format(
            'WITH held AS MATERIALIZED ('
            'SELECT a.id FROM written w JOIN %I.ps_auths a ON a.id = w.auth FOR KEY SHARE OF a'
            ') INSERT INTO provisioner.unjudged (tables_in, endpoint_id) '
            'SELECT $1, w.id FROM written w LEFT JOIN held ON held.id = w.auth WHERE held.id IS NULL',
            TG_TABLE_SCHEMA) USING TG_TABLE_SCHEMA;
        RETURN NULL;
    END
    $_$;

CREATE FUNCTION provisioner.guard_auths(tables_in text) RETURNS void
    LANGUAGE plpgsql
    AS $$
    BEGIN
        EXECUTE format('CREATE INDEX IF NOT EXISTS ps_endpoints_auth ON %I.ps_endpoints (auth)', tables_in);
        EXECUTE format('CREATE INDEX IF NOT EXISTS ps_endpoints_auth_list ON %I.ps_endpoints (auth) '
            'WHERE auth ~ ''[, ]''', tables_in);
        EXECUTE format('DROP TRIGGER IF EXISTS endpoint_needs_auth ON %I.ps_endpoints', tables_in);
        EXECUTE format('DROP TRIGGER IF EXISTS endpoint_keeps_auth ON %I.ps_endpoints', tables_in);
        EXECUTE format('DROP TRIGGER IF EXISTS auth_is_needed ON %I.ps_auths', tables_in);
        EXECUTE format('DROP TRIGGER IF EXISTS auth_keeps_id ON %I.ps_auths', tables_in);
        EXECUTE format('CREATE TRIGGER endpoint_needs_auth AFTER INSERT ON %I.ps_endpoints '
            'REFERENCING NEW TABLE AS written FOR EACH STATEMENT '
            'EXECUTE FUNCTION provisioner.endpoint_needs_auth()', tables_in);
        EXECUTE format('CREATE TRIGGER endpoint_keeps_auth AFTER UPDATE OF id, auth ON %I.ps_endpoints '
            'FOR EACH ROW EXECUTE FUNCTION provisioner.endpoint_needs_auth()', tables_in);
        EXECUTE format('CREATE TRIGGER auth_is_needed AFTER DELETE ON %I.ps_auths '
            'REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT '
            'EXECUTE FUNCTION provisioner.auth_is_needed()', tables_in);
        EXECUTE format('CREATE TRIGGER auth_keeps_id AFTER UPDATE OF id ON %I.ps_auths '
            'FOR EACH ROW EXECUTE FUNCTION provisioner.auth_is_needed()', tables_in);
    END
    $$;

CREATE FUNCTION provisioner.history_is_append_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('provisioner.trims_history', true) = 'yes' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the history is only ever added to' USING ERRCODE = 'insufficient_privilege';
    END
    $$;

CREATE FUNCTION provisioner.judge_endpoint() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    DECLARE
        named text;
        rows integer;
        one text;
        there integer;
    BEGIN
        DELETE FROM provisioner.unjudged WHERE id = NEW.id;
        EXECUTE format('SELECT auth FROM %I.ps_endpoints WHERE id = $1', NEW.tables_in)
            INTO named USING NEW.endpoint_id;
        GET DIAGNOSTICS rows = ROW_COUNT;
        IF rows = 0 THEN
            RETURN NULL;
        END IF;
        IF btrim(coalesce(named, ''), ', ') = '' THEN
            RAISE EXCEPTION 'endpoint % has no auth: its phone would register without a secret',
                NEW.endpoint_id
                USING ERRCODE = 'check_violation', CONSTRAINT = 'endpoint_needs_auth',
                      SCHEMA = NEW.tables_in, TABLE = 'ps_endpoints';
        END IF;
        FOREACH one IN ARRAY string_to_array(named, ',') LOOP
            EXECUTE format('SELECT 1 FROM %I.ps_auths WHERE id = $1 FOR KEY SHARE', NEW.tables_in)
                INTO there USING btrim(one);
            CONTINUE WHEN there IS NOT NULL OR btrim(one) = '';
            IF btrim(one) = NEW.lost_auth THEN
                RAISE EXCEPTION 'auth % is still needed by endpoint %', NEW.lost_auth, NEW.endpoint_id
                    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'auth_is_needed',
                          SCHEMA = NEW.tables_in, TABLE = 'ps_auths';
            END IF;
            RAISE EXCEPTION 'endpoint % names an auth that does not exist', NEW.endpoint_id
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'endpoint_needs_auth',
                      SCHEMA = NEW.tables_in, TABLE = 'ps_endpoints';
        END LOOP;
        RETURN NULL;
    END
    $_$;

CREATE FUNCTION provisioner.trim_history(keep_days integer) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DECLARE
        trimmed bigint;
    BEGIN
        IF keep_days IS NULL OR keep_days < 1 THEN
            RAISE EXCEPTION 'the history is kept for one day or longer' USING ERRCODE = 'data_exception';
        END IF;
        PERFORM set_config('provisioner.trims_history', 'yes', true);
        DELETE FROM provisioner.changes WHERE id IN (
            SELECT id FROM provisioner.changes WHERE at < now() - make_interval(days => keep_days)
            FOR UPDATE SKIP LOCKED);
        GET DIAGNOSTICS trimmed = ROW_COUNT;
        PERFORM set_config('provisioner.trims_history', '', true);
        RETURN trimmed;
    END
    $$;

CREATE TABLE provisioner.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE provisioner.changes (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor text NOT NULL,
    command text NOT NULL,
    file text,
    file_sha256 text,
    undoes bigint,
    CONSTRAINT changes_actor_form CHECK ((actor <> ''::text)),
    CONSTRAINT changes_command_form CHECK ((command <> ''::text)),
    CONSTRAINT changes_file_form CHECK ((file <> ''::text)),
    CONSTRAINT changes_file_sha256_form CHECK ((file_sha256 ~ '^[0-9a-f]{64}$'::text))
);

COMMENT ON TABLE provisioner.changes IS 'Who changed something, when and how. Only ever added to.';

COMMENT ON COLUMN provisioner.changes.undoes IS 'The change that this one took back.';

ALTER TABLE provisioner.changes ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME provisioner.changes_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE provisioner.extensions (
    id bigint NOT NULL,
    user_id bigint NOT NULL,
    "position" smallint NOT NULL,
    kind text NOT NULL,
    number text NOT NULL,
    label text,
    endpoint_id text NOT NULL,
    lines smallint NOT NULL,
    md5 text NOT NULL,
    sha256 text NOT NULL,
    realm text NOT NULL,
    secret_plain text,
    secret_length smallint,
    deleted_at timestamp with time zone,
    CONSTRAINT extensions_endpoint_id_form CHECK (((endpoint_id !~ '[^a-z0-9-]'::text) AND ((length(endpoint_id) >= 1) AND (length(endpoint_id) <= 100)))),
    CONSTRAINT extensions_kind_form CHECK ((kind = ANY (ARRAY['primary'::text, 'additional'::text, 'alias'::text]))),
    CONSTRAINT extensions_label_form CHECK (((label !~ '[^a-z0-9]'::text) AND ((length(label) >= 1) AND (length(label) <= 20)))),
    CONSTRAINT extensions_label_of_alias CHECK (((kind = 'alias'::text) = (label IS NOT NULL))),
    CONSTRAINT extensions_lines_form CHECK (((lines >= 1) AND (lines <= 99))),
    CONSTRAINT extensions_md5_form CHECK (((md5 !~ '[^0-9a-f]'::text) AND ((length(md5) >= 32) AND (length(md5) <= 32)))),
    CONSTRAINT extensions_number_form CHECK (((number !~ '[^0-9]'::text) AND ((length(number) >= 2) AND (length(number) <= 15)))),
    CONSTRAINT extensions_position_form CHECK (("position" >= 0)),
    CONSTRAINT extensions_realm_form CHECK ((realm <> ''::text)),
    CONSTRAINT extensions_secret_length_form CHECK ((secret_length > 0)),
    CONSTRAINT extensions_sha256_form CHECK (((sha256 !~ '[^0-9a-f]'::text) AND ((length(sha256) >= 64) AND (length(sha256) <= 64))))
);

COMMENT ON TABLE provisioner.extensions IS 'SIP accounts. A deleted one keeps its number resting.';

COMMENT ON COLUMN provisioner.extensions.md5 IS 'MD5 of user:realm:secret, in hex.';

COMMENT ON COLUMN provisioner.extensions.sha256 IS 'SHA-256 of user:realm:secret, in hex.';

COMMENT ON COLUMN provisioner.extensions.secret_plain IS 'Only where sip_secret_storage is plain.';

COMMENT ON COLUMN provisioner.extensions.secret_length IS 'Of a chosen one; NULL: generated.';

ALTER TABLE provisioner.extensions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME provisioner.extensions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE provisioner.history (
    id bigint NOT NULL,
    change_id bigint NOT NULL,
    user_id bigint,
    login text,
    verb text NOT NULL,
    old jsonb,
    new jsonb,
    rows jsonb,
    secrets text[] DEFAULT '{}'::text[] NOT NULL,
    old_version bigint,
    new_version bigint,
    CONSTRAINT history_verb_form CHECK ((verb = ANY (ARRAY['create'::text, 'change'::text, 'delete'::text, 'restore'::text, 'mend'::text])))
);

COMMENT ON TABLE provisioner.history IS 'Each user of a change, before and after; never a secret.';

COMMENT ON COLUMN provisioner.history.rows IS 'Changes of Asterisk''s rows apart from the record''s.';

COMMENT ON COLUMN provisioner.history.secrets IS 'The endpoint ids that got another secret.';

ALTER TABLE provisioner.history ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME provisioner.history_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE provisioner.made_tables (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE provisioner.made_tables IS 'Those tables of Asterisk that provisioner made.';

CREATE TABLE provisioner.outbox (
    id bigint NOT NULL,
    node text NOT NULL,
    endpoint_id text NOT NULL,
    expire text[] NOT NULL,
    keep_contacts integer,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT outbox_expire_form CHECK ((expire <@ ARRAY['endpoint'::text, 'auth'::text, 'aor'::text])),
    CONSTRAINT outbox_keep_contacts_form CHECK ((keep_contacts >= 0)),
    CONSTRAINT outbox_node_form CHECK ((node <> ''::text))
);

COMMENT ON TABLE provisioner.outbox IS 'What each node is still to be told; gone once it was.';

ALTER TABLE provisioner.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME provisioner.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE provisioner.past_secrets (
    id bigint NOT NULL,
    change_id bigint NOT NULL,
    user_id bigint NOT NULL,
    endpoint_id text NOT NULL,
    md5 text NOT NULL,
    sha256 text NOT NULL,
    realm text NOT NULL,
    secret_plain text,
    secret_length smallint
);

COMMENT ON TABLE provisioner.past_secrets IS 'The digests that a change replaced, for its undo.';

ALTER TABLE provisioner.past_secrets ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME provisioner.past_secrets_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE provisioner.unjudged (
    id bigint NOT NULL,
    tables_in text NOT NULL,
    endpoint_id text NOT NULL,
    lost_auth text
);

COMMENT ON TABLE provisioner.unjudged IS 'Endpoints whose auth is looked for when the transaction ends; empty outside of one.';

ALTER TABLE provisioner.unjudged ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME provisioner.unjudged_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE provisioner.users (
    id bigint NOT NULL,
    login text NOT NULL,
    login_key text NOT NULL,
    name text NOT NULL,
    email text,
    active boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    source text,
    version bigint DEFAULT 0 NOT NULL,
    webrtc boolean DEFAULT false NOT NULL,
    CONSTRAINT users_email_form CHECK ((email ~ '^[^[:space:][:cntrl:]]+@[^[:space:][:cntrl:]]+$'::text)),
    CONSTRAINT users_login_form CHECK (((login !~ '[[:space:][:cntrl:]]'::text) AND ((length(login) >= 1) AND (length(login) <= 64)))),
    CONSTRAINT users_login_key_form CHECK ((login_key ~ '^[^[:space:][:cntrl:]]+$'::text)),
    CONSTRAINT users_name_form CHECK (((name <> ''::text) AND (name !~ '[[:cntrl:]]'::text))),
    CONSTRAINT users_source_form CHECK (((source !~ '[[:cntrl:]]'::text) AND ((length(source) >= 1) AND (length(source) <= 200))))
);

COMMENT ON TABLE provisioner.users IS 'People. A deleted one stays, so that it can be restored.';

COMMENT ON COLUMN provisioner.users.login_key IS 'The login without regard to case and Unicode form.';

COMMENT ON COLUMN provisioner.users.source IS 'Which files speak for the user; NULL: made by hand.';

COMMENT ON COLUMN provisioner.users.version IS 'The change that made the user what it is.';

COMMENT ON COLUMN provisioner.users.webrtc IS 'Whether the phones are browsers: SIP over WebSocket, sound over DTLS and ICE.';

ALTER TABLE provisioner.users ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME provisioner.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.ps_aors (
    id character varying(255) NOT NULL,
    contact character varying(2048),
    mailboxes character varying(2048),
    outbound_proxy character varying(255),
    voicemail_extension character varying(255),
    remove_existing character varying(40),
    remove_unavailable character varying(40),
    authenticate_qualify character varying(40),
    support_path character varying(40),
    qualify_2xx_only character varying(40),
    max_contacts integer,
    default_expiration integer,
    minimum_expiration integer,
    maximum_expiration integer,
    qualify_frequency integer,
    qualify_timeout double precision
);

CREATE TABLE public.ps_auths (
    id character varying(255) NOT NULL,
    auth_type character varying(40),
    username character varying(255),
    realm character varying(255),
    password character varying(255),
    md5_cred character varying(255),
    refresh_token character varying(255),
    oauth_clientid character varying(255),
    oauth_secret character varying(255),
    password_digest character varying(2048),
    supported_algorithms_uac character varying(2048),
    supported_algorithms_uas character varying(2048),
    nonce_lifetime integer
);

CREATE TABLE public.ps_contacts (
    id character varying(255) NOT NULL,
    uri text,
    path text,
    user_agent text,
    endpoint character varying(255),
    reg_server character varying(255),
    via_addr character varying(255),
    call_id character varying(255),
    outbound_proxy character varying(255),
    authenticate_qualify character varying(40),
    prune_on_boot character varying(40),
    qualify_2xx_only character varying(40),
    expiration_time bigint,
    qualify_frequency integer,
    via_port integer,
    qualify_timeout double precision
);

CREATE TABLE public.ps_domain_aliases (
    id character varying(255) NOT NULL,
    domain character varying(255)
);

CREATE TABLE public.ps_endpoint_id_ips (
    id character varying(255) NOT NULL,
    match character varying(2048),
    endpoint character varying(255),
    match_header character varying(255),
    match_request_uri character varying(255),
    srv_lookups character varying(40)
);

CREATE TABLE public.ps_endpoints (
    id character varying(255) NOT NULL,
    aors character varying(2048),
    auth character varying(2048),
    outbound_auth character varying(2048),
    allow character varying(2048),
    disallow character varying(2048),
    mailboxes character varying(2048),
    set_var character varying(2048),
    acl character varying(2048),
    deny character varying(2048),
    permit character varying(2048),
    contact_acl character varying(2048),
    contact_deny character varying(2048),
    contact_permit character varying(2048),
    security_mechanisms character varying(2048),
    callerid character varying(255),
    callerid_tag character varying(255),
    context character varying(255),
    message_context character varying(255),
    subscribe_context character varying(255),
    overlap_context character varying(255),
    transport character varying(255),
    outbound_proxy character varying(255),
    from_user character varying(255),
    from_domain character varying(255),
    contact_user character varying(255),
    mwi_from_user character varying(255),
    incoming_mwi_mailbox character varying(255),
    voicemail_extension character varying(255),
    accountcode character varying(255),
    tenantid character varying(255),
    moh_suggest character varying(255),
    language character varying(255),
    tone_zone character varying(255),
    media_address character varying(255),
    sdp_owner character varying(255),
    sdp_session character varying(255),
    rtp_engine character varying(255),
    identify_by character varying(255),
    follow_redirect_methods character varying(255),
    call_group character varying(255),
    pickup_group character varying(255),
    named_call_group character varying(255),
    named_pickup_group character varying(255),
    record_on_feature character varying(255),
    record_off_feature character varying(255),
    codec_prefs_incoming_offer character varying(255),
    codec_prefs_outgoing_offer character varying(255),
    codec_prefs_incoming_answer character varying(255),
    codec_prefs_outgoing_answer character varying(255),
    stir_shaken_profile character varying(255),
    geoloc_incoming_call_profile character varying(255),
    geoloc_outgoing_call_profile character varying(255),
    dtls_cert_file character varying(255),
    dtls_private_key character varying(255),
    dtls_cipher character varying(255),
    dtls_ca_file character varying(255),
    dtls_ca_path character varying(255),
    "100rel" character varying(40),
    aggregate_mwi character varying(40),
    allow_overlap character varying(40),
    callerid_privacy character varying(40),
    direct_media_glare_mitigation character varying(40),
    direct_media_method character varying(40),
    trust_connected_line character varying(40),
    send_connected_line character varying(40),
    connected_line_method character varying(40),
    direct_media character varying(40),
    disable_direct_media_on_nat character varying(40),
    dtmf_mode character varying(40),
    bind_rtp_to_media_address character varying(40),
    force_rport character varying(40),
    ice_support character varying(40),
    redirect_method character varying(40),
    mwi_subscribe_replaces_unsolicited character varying(40),
    rewrite_contact character varying(40),
    rtp_ipv6 character varying(40),
    rtp_symmetric character varying(40),
    send_diversion character varying(40),
    send_history_info character varying(40),
    send_pai character varying(40),
    send_rpid character varying(40),
    rpid_immediate character varying(40),
    timers character varying(40),
    trust_id_inbound character varying(40),
    trust_id_outbound character varying(40),
    use_ptime character varying(40),
    use_avpf character varying(40),
    force_avp character varying(40),
    media_use_received_transport character varying(40),
    media_encryption character varying(40),
    media_encryption_optimistic character varying(40),
    g726_non_standard character varying(40),
    inband_progress character varying(40),
    t38_udptl character varying(40),
    t38_udptl_ec character varying(40),
    fax_detect character varying(40),
    t38_udptl_nat character varying(40),
    t38_udptl_ipv6 character varying(40),
    t38_bind_udptl_to_media_address character varying(40),
    one_touch_recording character varying(40),
    allow_transfer character varying(40),
    user_eq_phone character varying(40),
    moh_passthrough character varying(40),
    tos_audio character varying(40),
    tos_video character varying(40),
    allow_subscribe character varying(40),
    dtls_verify character varying(40),
    dtls_rekey character varying(40),
    dtls_auto_generate_cert character varying(40),
    dtls_setup character varying(40),
    dtls_fingerprint character varying(40),
    srtp_tag_32 character varying(40),
    preferred_codec_only character varying(40),
    incoming_call_offer_pref character varying(40),
    outgoing_call_offer_pref character varying(40),
    asymmetric_rtp_codec character varying(40),
    rtcp_mux character varying(40),
    refer_blind_progress character varying(40),
    notify_early_inuse_ringing character varying(40),
    bundle character varying(40),
    webrtc character varying(40),
    follow_early_media_fork character varying(40),
    accept_multiple_sdp_answers character varying(40),
    suppress_q850_reason_headers character varying(40),
    ignore_183_without_sdp character varying(40),
    stir_shaken character varying(40),
    allow_unauthenticated_options character varying(40),
    security_negotiation character varying(40),
    send_aoc character varying(40),
    suppress_moh_on_sendonly character varying(40),
    timers_min_se integer,
    timers_sess_expires integer,
    device_state_busy_at integer,
    t38_udptl_maxdatagram integer,
    fax_detect_timeout integer,
    cos_audio integer,
    cos_video integer,
    sub_min_expiry integer,
    rtp_keepalive integer,
    rtp_timeout integer,
    rtp_timeout_hold integer,
    rtp_port_start integer,
    rtp_port_end integer,
    max_audio_streams integer,
    max_video_streams integer
);

ALTER TABLE ONLY provisioner.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY provisioner.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY provisioner.extensions
    ADD CONSTRAINT extensions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY provisioner.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (change_id, id);

ALTER TABLE ONLY provisioner.made_tables
    ADD CONSTRAINT made_tables_pkey PRIMARY KEY (schema_name, table_name);

ALTER TABLE ONLY provisioner.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);

ALTER TABLE ONLY provisioner.past_secrets
    ADD CONSTRAINT past_secrets_pkey PRIMARY KEY (change_id, id);

ALTER TABLE ONLY provisioner.unjudged
    ADD CONSTRAINT unjudged_pkey PRIMARY KEY (id);

ALTER TABLE ONLY provisioner.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ps_aors
    ADD CONSTRAINT ps_aors_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ps_auths
    ADD CONSTRAINT ps_auths_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ps_contacts
    ADD CONSTRAINT ps_contacts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ps_domain_aliases
    ADD CONSTRAINT ps_domain_aliases_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ps_endpoint_id_ips
    ADD CONSTRAINT ps_endpoint_id_ips_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ps_endpoints
    ADD CONSTRAINT ps_endpoints_pkey PRIMARY KEY (id);

CREATE INDEX changes_at ON provisioner.changes USING btree (at);

CREATE INDEX extensions_endpoint_history ON provisioner.extensions USING btree (endpoint_id);

CREATE UNIQUE INDEX extensions_endpoint_taken ON provisioner.extensions USING btree (endpoint_id) WHERE (deleted_at IS NULL);

CREATE INDEX extensions_number_history ON provisioner.extensions USING btree (number, deleted_at);

CREATE INDEX extensions_of_user ON provisioner.extensions USING btree (user_id);

CREATE UNIQUE INDEX extensions_one_primary ON provisioner.extensions USING btree (user_id) WHERE ((kind = 'primary'::text) AND (deleted_at IS NULL));

CREATE UNIQUE INDEX extensions_position_taken ON provisioner.extensions USING btree (user_id, "position") WHERE (deleted_at IS NULL);

CREATE INDEX history_of_login ON provisioner.history USING btree (lower(login)) WHERE (user_id IS NULL);

CREATE INDEX history_of_user ON provisioner.history USING btree (user_id, change_id);

CREATE INDEX outbox_of_node ON provisioner.outbox USING btree (node, id);

CREATE INDEX users_login_history ON provisioner.users USING btree (login_key, deleted_at);

CREATE UNIQUE INDEX users_login_taken ON provisioner.users USING btree (login_key) WHERE (deleted_at IS NULL);

CREATE INDEX users_of_source ON provisioner.users USING btree (source) WHERE ((deleted_at IS NULL) AND (source IS NOT NULL));

CREATE INDEX ps_aors_qualifyfreq_contact ON public.ps_aors USING btree (qualify_frequency, contact);

CREATE INDEX ps_contacts_id_prefix ON public.ps_contacts USING btree (id varchar_pattern_ops);

CREATE INDEX ps_contacts_qualifyfreq_exptime ON public.ps_contacts USING btree (qualify_frequency, expiration_time);

CREATE INDEX ps_endpoints_auth ON public.ps_endpoints USING btree (auth);

CREATE INDEX ps_endpoints_auth_list ON public.ps_endpoints USING btree (auth) WHERE ((auth)::text ~ '[, ]'::text);

CREATE TRIGGER changes_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON provisioner.changes FOR EACH STATEMENT EXECUTE FUNCTION provisioner.history_is_append_only();

CREATE TRIGGER history_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON provisioner.history FOR EACH STATEMENT EXECUTE FUNCTION provisioner.history_is_append_only();

CREATE CONSTRAINT TRIGGER judge_endpoint AFTER INSERT ON provisioner.unjudged DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION provisioner.judge_endpoint();

CREATE TRIGGER past_secrets_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON provisioner.past_secrets FOR EACH STATEMENT EXECUTE FUNCTION provisioner.history_is_append_only();

CREATE TRIGGER auth_is_needed AFTER DELETE ON public.ps_auths REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION provisioner.auth_is_needed();

CREATE TRIGGER auth_keeps_id AFTER UPDATE OF id ON public.ps_auths FOR EACH ROW EXECUTE FUNCTION provisioner.auth_is_needed();

CREATE TRIGGER endpoint_keeps_auth AFTER UPDATE OF id, auth ON public.ps_endpoints FOR EACH ROW EXECUTE FUNCTION provisioner.endpoint_needs_auth();

CREATE TRIGGER endpoint_needs_auth AFTER INSERT ON public.ps_endpoints REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.endpoint_needs_auth();

ALTER TABLE ONLY provisioner.extensions
    ADD CONSTRAINT extensions_user_id_fkey FOREIGN KEY (user_id) REFERENCES provisioner.users(id);

ALTER TABLE ONLY provisioner.history
    ADD CONSTRAINT history_change_id_fkey FOREIGN KEY (change_id) REFERENCES provisioner.changes(id) ON DELETE CASCADE;

ALTER TABLE ONLY provisioner.past_secrets
    ADD CONSTRAINT past_secrets_change_id_fkey FOREIGN KEY (change_id) REFERENCES provisioner.changes(id) ON DELETE CASCADE;

INSERT INTO provisioner.alembic_version VALUES ('0006');

INSERT INTO provisioner.made_tables VALUES ('public', 'ps_endpoints', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_auths', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_aors', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_contacts', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_endpoint_id_ips', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_domain_aliases', now());
