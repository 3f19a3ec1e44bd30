-- What the migrations in versions/ make of an empty database, for reading, or for creating it by hand.
-- Generated: python -m provisioner.store.schema > sql/schema.sql
-- Create an empty database and run this file in it as the role that database.url names.

-- They stand here in the order of their names, and some use others.
SET check_function_bodies = false;

CREATE SCHEMA provisioner;

COMMENT ON SCHEMA provisioner IS 'Users and extensions as provisioner keeps them; not for Asterisk.';

CREATE SCHEMA provisioner_nodes;

COMMENT ON SCHEMA provisioner_nodes IS 'What Asterisk finds before its tables.';

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

CREATE FUNCTION provisioner.changed_rows(its_table regclass, operation text, VARIADIC columns text[]) RETURNS text
    LANGUAGE plpgsql
    AS $_$
    DECLARE
        held text;
        nothing text;
    BEGIN
        SELECT string_agg(format(CASE WHEN a.attname IS NULL THEN 'NULL::text AS %1$I'
                                      ELSE 'r.%1$I::text AS %1$I' END, wanted), ', '),
               string_agg(format('NULL::text AS %I', wanted), ', ')
            INTO held, nothing
            FROM unnest(ARRAY['id'] || columns) AS wanted LEFT JOIN pg_attribute a
                ON a.attrelid = its_table AND a.attname = wanted::name AND NOT a.attisdropped;
        RETURN CASE operation
            WHEN 'INSERT' THEN format(
                '(SELECT %s) AS o CROSS JOIN (SELECT %s FROM written AS r) AS n WHERE n.id IS NOT NULL',
                nothing, held)
            WHEN 'UPDATE' THEN format(
                '(SELECT %1$s, r FROM gone AS r) AS o FULL JOIN (SELECT %1$s, r FROM written AS r) AS n '
                'ON n.id = o.id WHERE coalesce(n.id, o.id) IS NOT NULL '
                'AND (n.id IS NULL OR o.id IS NULL OR n.r *<> o.r)', held)
            ELSE format(
                '(SELECT %s FROM %s AS r) AS o CROSS JOIN (SELECT %s) AS n WHERE o.id IS NOT NULL',
                held, CASE operation WHEN 'DELETE' THEN 'gone' ELSE its_table::text END, nothing) END;
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

CREATE FUNCTION provisioner.filled(rows_of text, columns text[]) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
        SELECT format('SELECT array_remove(ARRAY[%s]::text[], NULL) FROM %s AS r',
            string_agg(format('CASE WHEN count(r.%1$I) > 0 THEN %1$L END', one), ', '), rows_of)
        FROM unnest(columns) AS one
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

CREATE FUNCTION provisioner.hidden(its_table regclass) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
        SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}')
        FROM (SELECT coalesce(provisioner.shown(its_table), '{}') AS ones OFFSET 0) AS shown, pg_attribute
        WHERE attrelid = its_table AND attnum > 0 AND NOT attisdropped AND attname <> ALL (ones)
    $$;

CREATE FUNCTION provisioner.hide_views() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DECLARE
        others text;
    BEGIN
        SELECT string_agg(DISTINCT grantee::regrole::text, ', ') INTO others
            FROM pg_namespace, aclexplode(nspacl)
            WHERE nspname = 'provisioner_nodes' AND grantee NOT IN (0, nspowner);
        IF others IS NOT NULL THEN
            EXECUTE format('REVOKE ALL ON SCHEMA provisioner_nodes FROM %s', others);
        END IF;
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

CREATE FUNCTION provisioner.is_noted() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
    BEGIN
        -- A transaction with an older snapshot would not see the first node: it notes in any case.
        IF current_setting('transaction_isolation') <> 'read committed'
            OR EXISTS (SELECT FROM provisioner.nodes) THEN
            RETURN true;
        END IF;
        -- Whoever adds the first node waits for those who found none.
        LOCK TABLE provisioner.nodes IN ROW SHARE MODE;
        RETURN EXISTS (SELECT FROM provisioner.nodes);
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

CREATE FUNCTION provisioner.narrow(its_table regclass) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    BEGIN
        PERFORM provisioner.hide_views();
        EXECUTE format('DROP TRIGGER IF EXISTS show_inserted ON %s', its_table);
        EXECUTE format('DROP TRIGGER IF EXISTS show_updated ON %s', its_table);
        EXECUTE format('CREATE TRIGGER show_inserted AFTER INSERT ON %s REFERENCING NEW TABLE AS written '
            'FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled()', its_table);
        EXECUTE format('CREATE TRIGGER show_updated AFTER UPDATE ON %s REFERENCING NEW TABLE AS written '
            'FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled()', its_table);
        -- From here on nobody writes: creating a trigger locks the table against that.
        EXECUTE format('DROP VIEW IF EXISTS %s', provisioner.view_of(its_table));
        -- Asterisk asks for those with mailboxes, with contacts, and with a qualify_frequency.
        PERFORM provisioner.show(its_table, ARRAY(
            SELECT one FROM unnest(provisioner.hidden(its_table)) AS one
            WHERE one = ANY (ARRAY['id', 'contact', 'mailboxes', 'qualify_frequency']
                || provisioner.overlooked(its_table))));
        EXECUTE format('COMMENT ON VIEW %s IS %L', provisioner.view_of(its_table),
            'The columns of the table that anybody ever filled, and those that Asterisk looks for.');
    END
    $$;

CREATE FUNCTION provisioner.note_aors() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    DECLARE
        noted bigint := 0;
    BEGIN
        IF provisioner.is_noted() THEN
            EXECUTE format($sql$
                INSERT INTO provisioner.outbox (type, object_id, keep_contacts, renew)
                SELECT 'aor', coalesce(n.id, o.id),
                    CASE WHEN n.id IS NULL THEN 0
                         WHEN n.id = o.id AND n.max_contacts IS DISTINCT FROM o.max_contacts
                         THEN (SELECT will FROM (SELECT
                            CASE WHEN o.max_contacts !~ '[^0-9]' AND length(o.max_contacts) BETWEEN 1 AND 9
                                 THEN o.max_contacts::integer ELSE 0 END AS was,
                            CASE WHEN n.max_contacts !~ '[^0-9]' AND length(n.max_contacts) BETWEEN 1 AND 9
                                 THEN n.max_contacts::integer ELSE 0 END AS will) AS most WHERE will < was)
                         END,
                    array_remove(ARRAY[
                        CASE WHEN o.id IS NULL THEN 'state' END,
                        CASE WHEN n.id = o.id AND (n.qualify_frequency, n.qualify_timeout,
                            n.authenticate_qualify, n.qualify_2xx_only) IS DISTINCT FROM (o.qualify_frequency,
                            o.qualify_timeout, o.authenticate_qualify, o.qualify_2xx_only)
                            THEN 'qualify' END,
                        CASE WHEN o.id IS NULL AND n.mailboxes <> '' OR n.id IS NULL AND o.mailboxes <> ''
                            OR n.id = o.id
                            AND (n.mailboxes, n.voicemail_extension)
                            IS DISTINCT FROM (o.mailboxes, o.voicemail_extension)
                            THEN 'mwi' END], NULL)
                FROM %s
                $sql$, provisioner.changed_rows(TG_RELID, TG_OP, 'max_contacts', 'mailboxes',
                    'voicemail_extension', 'qualify_frequency', 'qualify_timeout', 'authenticate_qualify',
                    'qualify_2xx_only'));
            GET DIAGNOSTICS noted = ROW_COUNT;
        END IF;
        IF noted > 0 THEN
            PERFORM pg_notify('provisioner', '');
        END IF;
        RETURN NULL;
    END
    $_$;

CREATE FUNCTION provisioner.note_auths() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '64MB'
    AS $_$
    DECLARE
        noted bigint := 0;
        cut text[];
    BEGIN
        IF provisioner.is_noted() THEN
            EXECUTE format($sql$
                WITH changed AS MATERIALIZED (
                    SELECT coalesce(n.id, o.id) AS id, CASE
                        WHEN n.id IS NULL OR o.id IS NULL
                            OR (n.username, n.realm) IS DISTINCT FROM (o.username, o.realm) THEN true
                        WHEN (n.password, n.md5_cred, n.password_digest)
                            IS NOT DISTINCT FROM (o.password, o.md5_cred, o.password_digest) THEN false
                        ELSE (coalesce(
                            CASE WHEN n.password_digest IS DISTINCT FROM o.password_digest
                                 THEN substring(lower(n.password_digest) FROM 'md5:([0-9a-f]+)') END,
                            CASE WHEN n.md5_cred IS DISTINCT FROM o.md5_cred THEN lower(n.md5_cred) END)
                        = coalesce(
                            CASE WHEN n.password_digest IS DISTINCT FROM o.password_digest
                                 THEN substring(lower(o.password_digest) FROM 'md5:([0-9a-f]+)') END,
                            CASE WHEN n.md5_cred IS DISTINCT FROM o.md5_cred THEN lower(o.md5_cred) END)
                        ) IS NOT TRUE END AS cut
                    FROM %s
                ), its AS (INSERT INTO provisioner.outbox (type, object_id) SELECT 'auth', id FROM changed)
                SELECT count(*), array_agg(id) FILTER (WHERE cut) FROM changed
                $sql$, provisioner.changed_rows(TG_RELID, TG_OP, 'username', 'realm', 'password', 'md5_cred',
                    'password_digest')) INTO noted, cut;
        END IF;
        IF cut IS NOT NULL AND 2 = (
            SELECT count(*) FROM pg_attribute
            WHERE attrelid = to_regclass(format('%I.ps_endpoints', TG_TABLE_SCHEMA))
            AND attname IN ('auth', 'aors') AND NOT attisdropped) THEN
            EXECUTE format($sql$
                INSERT INTO provisioner.outbox (object_id, keep_contacts)
                SELECT DISTINCT btrim(aor), 0 FROM (
                    SELECT e.aors::text AS aors FROM unnest($1) AS cut
                    JOIN %1$I.ps_endpoints e ON e.auth::text = cut
                    UNION ALL
                    SELECT e.aors::text FROM %1$I.ps_endpoints e
                    CROSS JOIN unnest(string_to_array(e.auth::text, ',')) AS named
                    JOIN unnest($1) AS cut ON cut = btrim(named) WHERE e.auth::text ~ '[, ]'
                ) AS used CROSS JOIN unnest(string_to_array(aors, ',')) AS aor WHERE btrim(aor) <> ''
                $sql$, TG_TABLE_SCHEMA) USING cut;
        END IF;
        IF noted > 0 THEN
            PERFORM pg_notify('provisioner', '');
        END IF;
        RETURN NULL;
    END
    $_$;

CREATE FUNCTION provisioner.note_endpoints() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET work_mem TO '64MB'
    AS $_$
    DECLARE
        noted bigint := 0;
    BEGIN
        IF provisioner.is_noted() THEN
            EXECUTE format($sql$
                WITH changed AS MATERIALIZED (
                    SELECT coalesce(n.id, o.id) AS id, o.aors,
                        n.id IS NULL OR n.id = o.id AND (n.auth, n.aors) IS DISTINCT FROM (o.auth, o.aors)
                            AS cut,
                        o.id IS NULL AND n.mailboxes <> '' OR n.id IS NULL AND o.mailboxes <> ''
                            OR n.id = o.id
                            AND (n.mailboxes, n.aggregate_mwi, n.mwi_from_user, n.incoming_mwi_mailbox,
                                n.voicemail_extension)
                            IS DISTINCT FROM (o.mailboxes, o.aggregate_mwi, o.mwi_from_user,
                                o.incoming_mwi_mailbox, o.voicemail_extension) AS mwi
                    FROM %s
                )
                INSERT INTO provisioner.outbox (type, object_id, keep_contacts, renew)
                SELECT 'endpoint', id, CASE WHEN cut THEN 0 END,
                    CASE WHEN mwi THEN ARRAY['mwi'] ELSE '{}' END FROM changed
                UNION ALL
                SELECT NULL, btrim(aor), 0, '{}' FROM changed, unnest(string_to_array(aors, ',')) AS aor
                WHERE cut AND btrim(aor) NOT IN ('', id)
                $sql$, provisioner.changed_rows(TG_RELID, TG_OP, 'auth', 'aors', 'mailboxes', 'aggregate_mwi',
                    'mwi_from_user', 'incoming_mwi_mailbox', 'voicemail_extension'));
            GET DIAGNOSTICS noted = ROW_COUNT;
        END IF;
        IF noted > 0 THEN
            PERFORM pg_notify('provisioner', '');
        END IF;
        RETURN NULL;
    END
    $_$;

CREATE FUNCTION provisioner.overlooked(its_table regclass) RETURNS text[]
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DECLARE
        found text[];
    BEGIN
        EXECUTE provisioner.filled(its_table::text, provisioner.hidden(its_table)) INTO found;
        RETURN found;
    END
    $$;

CREATE FUNCTION provisioner.show(its_table regclass, more text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DECLARE
        before text[];
    BEGIN
        -- Two at once would each leave out what the other adds.
        PERFORM pg_advisory_xact_lock(1886547830, 3);
        before := provisioner.shown(its_table);
        IF before @> more THEN
            RETURN;
        END IF;
        EXECUTE (
            SELECT format('CREATE OR REPLACE VIEW %s AS SELECT %s FROM %s', provisioner.view_of(its_table),
                string_agg(quote_ident(name), ', ' ORDER BY place), its_table)
            FROM (SELECT name, min(place) AS place
                  FROM unnest(before || more) WITH ORDINALITY AS named (name, place)
                  GROUP BY name) AS wanted);
    END
    $$;

CREATE FUNCTION provisioner.show_at_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
    DECLARE
        filled text[];
    BEGIN
        PERFORM pg_advisory_xact_lock(1886547830, 3);
        SELECT array_agg(one) INTO filled FROM unnest(provisioner.hidden(NEW.its_table)) AS one
            WHERE one = ANY (NEW.columns);
        IF filled IS NOT NULL AND provisioner.shown(NEW.its_table) IS NOT NULL THEN
            PERFORM provisioner.show(NEW.its_table, filled);
        END IF;
        RETURN NULL;
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'nodes read every column from now on, because the view of % cannot be widened: %',
            NEW.its_table, SQLERRM USING HINT = 'provisioner db upgrade has them read the views again.';
        PERFORM provisioner.hide_views();
        RETURN NULL;
    END
    $$;

CREATE FUNCTION provisioner.show_filled() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DECLARE
        noted text := coalesce(current_setting('provisioner.noted', true), '');
        hidden text[] := ARRAY(
            SELECT one FROM unnest(provisioner.hidden(TG_RELID)) AS one
            WHERE strpos(noted, format(' %s.%I ', TG_RELID, one)) = 0);
        are_some boolean;
        filled text[];
    BEGIN
        EXECUTE (
            SELECT format('SELECT EXISTS (SELECT FROM written AS r WHERE NOT ROW(%s) IS NULL)',
                string_agg('r.' || quote_ident(one), ', '))
            FROM unnest(hidden) AS one) INTO are_some;
        IF are_some AND provisioner.shown(TG_RELID) IS NOT NULL THEN
            EXECUTE provisioner.filled('written', hidden) INTO filled;
            INSERT INTO provisioner.filled_columns VALUES (TG_RELID, filled);
            PERFORM set_config('provisioner.noted', noted || (
                SELECT string_agg(format(' %s.%I ', TG_RELID, one), '') FROM unnest(filled) AS one), true);
        END IF;
        RETURN NULL;
    END
    $$;

CREATE FUNCTION provisioner.shown(its_table regclass) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
        SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = to_regclass(provisioner.view_of(its_table)) AND EXISTS (
            SELECT FROM pg_rewrite its JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = its.oid
            WHERE its.ev_class = attrelid AND refclassid = 'pg_class'::regclass AND refobjid = its_table)
    $$;

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

CREATE FUNCTION provisioner.unwatch(tables_in text) RETURNS void
    LANGUAGE plpgsql
    AS $$
    DECLARE
        its text;
        one text;
    BEGIN
        FOREACH its IN ARRAY ARRAY['ps_auths', 'ps_aors', 'ps_endpoints'] LOOP
            FOREACH one IN ARRAY ARRAY['note_inserted', 'note_updated', 'note_deleted', 'note_truncated'] LOOP
                EXECUTE format('DROP TRIGGER IF EXISTS %I ON %I.%I', one, tables_in, its);
            END LOOP;
        END LOOP;
    END
    $$;

CREATE FUNCTION provisioner.view_of(its_table regclass) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
        SELECT format('provisioner_nodes.%I', relname) FROM pg_class WHERE oid = its_table
    $$;

CREATE FUNCTION provisioner.watch(tables_in text) RETURNS void
    LANGUAGE plpgsql
    AS $$
    DECLARE
        its text;
    BEGIN
        PERFORM provisioner.unwatch(tables_in);
        FOREACH its IN ARRAY ARRAY['auths', 'aors', 'endpoints'] LOOP
            EXECUTE format('CREATE TRIGGER note_inserted AFTER INSERT ON %I.ps_%s '
                'REFERENCING NEW TABLE AS written FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_%s()', tables_in, its, its);
            EXECUTE format('CREATE TRIGGER note_updated AFTER UPDATE ON %I.ps_%s '
                'REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_%s()', tables_in, its, its);
            EXECUTE format('CREATE TRIGGER note_deleted AFTER DELETE ON %I.ps_%s '
                'REFERENCING OLD TABLE AS gone FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_%s()', tables_in, its, its);
            EXECUTE format('CREATE TRIGGER note_truncated BEFORE TRUNCATE ON %I.ps_%s FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_%s()', tables_in, its, its);
        END LOOP;
        -- Who gives one auth another secret must not have to wait until every endpoint was looked at.
        EXECUTE format('CREATE INDEX IF NOT EXISTS ps_endpoints_auth ON %I.ps_endpoints (auth)', tables_in);
        EXECUTE format('CREATE INDEX IF NOT EXISTS ps_endpoints_auth_list ON %I.ps_endpoints (auth) '
            'WHERE auth ~ ''[, ]''', tables_in);
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

CREATE TABLE provisioner.filled_columns (
    its_table regclass NOT NULL,
    columns text[] NOT NULL,
    filled_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE provisioner.filled_columns IS 'Who adds a row widens the view when it commits.';

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

CREATE TABLE provisioner.nodes (
    name text NOT NULL,
    "position" pg_snapshot,
    whole boolean DEFAULT true NOT NULL,
    error text,
    told_at timestamp with time zone,
    added_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT nodes_name_form CHECK ((name <> ''::text))
);

COMMENT ON TABLE provisioner.nodes IS 'How far each Asterisk was told.';

COMMENT ON COLUMN provisioner.nodes."position" IS 'It was told all that this snapshot sees.';

COMMENT ON COLUMN provisioner.nodes.whole IS 'Its whole caches are to be expired.';

CREATE TABLE provisioner.outbox (
    id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    node text,
    type text,
    object_id text NOT NULL,
    keep_contacts integer,
    renew text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT outbox_keep_contacts_form CHECK ((keep_contacts >= 0)),
    CONSTRAINT outbox_renew_form CHECK (((renew = '{}'::text[]) OR (renew <@ ARRAY['state'::text, 'qualify'::text, 'mwi'::text]))),
    CONSTRAINT outbox_type_form CHECK ((type = ANY (ARRAY['endpoint'::text, 'auth'::text, 'aor'::text])))
);

COMMENT ON TABLE provisioner.outbox IS 'What changed, until every node was told of it.';

COMMENT ON COLUMN provisioner.outbox.xid IS 'The transaction that changed it.';

COMMENT ON COLUMN provisioner.outbox.node IS 'The only node that is to be told; NULL: all.';

COMMENT ON COLUMN provisioner.outbox.type IS 'What to expire; NULL: only the contacts of an AOR.';

COMMENT ON COLUMN provisioner.outbox.keep_contacts IS 'How many contacts of the AOR object_id stay; NULL: all.';

COMMENT ON COLUMN provisioner.outbox.renew IS 'What expiring does not reach of the object.';

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

CREATE VIEW provisioner_nodes.ps_aors AS
 SELECT id,
    contact,
    mailboxes,
    qualify_frequency
   FROM public.ps_aors;

COMMENT ON VIEW provisioner_nodes.ps_aors IS 'The columns of the table that anybody ever filled, and those that Asterisk looks for.';

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

CREATE VIEW provisioner_nodes.ps_auths AS
 SELECT id
   FROM public.ps_auths;

COMMENT ON VIEW provisioner_nodes.ps_auths IS 'The columns of the table that anybody ever filled, and those that Asterisk looks for.';

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

CREATE VIEW provisioner_nodes.ps_endpoints AS
 SELECT id,
    mailboxes
   FROM public.ps_endpoints;

COMMENT ON VIEW provisioner_nodes.ps_endpoints IS 'The columns of the table that anybody ever filled, and those that Asterisk looks for.';

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
)
WITH (fillfactor='50');

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

ALTER TABLE ONLY provisioner.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (name);

ALTER TABLE ONLY provisioner.outbox
    ADD CONSTRAINT outbox_key PRIMARY KEY (xid, id);

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

CREATE INDEX users_login_history ON provisioner.users USING btree (login_key, deleted_at);

CREATE UNIQUE INDEX users_login_taken ON provisioner.users USING btree (login_key) WHERE (deleted_at IS NULL);

CREATE INDEX users_of_source ON provisioner.users USING btree (source) WHERE ((deleted_at IS NULL) AND (source IS NOT NULL));

CREATE INDEX ps_aors_qualifyfreq_contact ON public.ps_aors USING btree (qualify_frequency, contact);

CREATE INDEX ps_contacts_id_prefix ON public.ps_contacts USING btree (id varchar_pattern_ops);

CREATE INDEX ps_endpoints_auth ON public.ps_endpoints USING btree (auth);

CREATE INDEX ps_endpoints_auth_list ON public.ps_endpoints USING btree (auth) WHERE ((auth)::text ~ '[, ]'::text);

CREATE TRIGGER changes_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON provisioner.changes FOR EACH STATEMENT EXECUTE FUNCTION provisioner.history_is_append_only();

CREATE TRIGGER history_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON provisioner.history FOR EACH STATEMENT EXECUTE FUNCTION provisioner.history_is_append_only();

CREATE CONSTRAINT TRIGGER judge_endpoint AFTER INSERT ON provisioner.unjudged DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION provisioner.judge_endpoint();

CREATE TRIGGER past_secrets_is_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON provisioner.past_secrets FOR EACH STATEMENT EXECUTE FUNCTION provisioner.history_is_append_only();

CREATE CONSTRAINT TRIGGER show_at_commit AFTER INSERT ON provisioner.filled_columns DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION provisioner.show_at_commit();

CREATE TRIGGER auth_is_needed AFTER DELETE ON public.ps_auths REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION provisioner.auth_is_needed();

CREATE TRIGGER auth_keeps_id AFTER UPDATE OF id ON public.ps_auths FOR EACH ROW EXECUTE FUNCTION provisioner.auth_is_needed();

CREATE TRIGGER endpoint_keeps_auth AFTER UPDATE OF id, auth ON public.ps_endpoints FOR EACH ROW EXECUTE FUNCTION provisioner.endpoint_needs_auth();

CREATE TRIGGER endpoint_needs_auth AFTER INSERT ON public.ps_endpoints REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.endpoint_needs_auth();

CREATE TRIGGER note_deleted AFTER DELETE ON public.ps_aors REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_aors();

CREATE TRIGGER note_deleted AFTER DELETE ON public.ps_auths REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_auths();

CREATE TRIGGER note_deleted AFTER DELETE ON public.ps_endpoints REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_endpoints();

CREATE TRIGGER note_inserted AFTER INSERT ON public.ps_aors REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_aors();

CREATE TRIGGER note_inserted AFTER INSERT ON public.ps_auths REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_auths();

CREATE TRIGGER note_inserted AFTER INSERT ON public.ps_endpoints REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_endpoints();

CREATE TRIGGER note_truncated BEFORE TRUNCATE ON public.ps_aors FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_aors();

CREATE TRIGGER note_truncated BEFORE TRUNCATE ON public.ps_auths FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_auths();

CREATE TRIGGER note_truncated BEFORE TRUNCATE ON public.ps_endpoints FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_endpoints();

CREATE TRIGGER note_updated AFTER UPDATE ON public.ps_aors REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_aors();

CREATE TRIGGER note_updated AFTER UPDATE ON public.ps_auths REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_auths();

CREATE TRIGGER note_updated AFTER UPDATE ON public.ps_endpoints REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.note_endpoints();

CREATE TRIGGER show_inserted AFTER INSERT ON public.ps_aors REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled();

CREATE TRIGGER show_inserted AFTER INSERT ON public.ps_auths REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled();

CREATE TRIGGER show_inserted AFTER INSERT ON public.ps_endpoints REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled();

CREATE TRIGGER show_updated AFTER UPDATE ON public.ps_aors REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled();

CREATE TRIGGER show_updated AFTER UPDATE ON public.ps_auths REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled();

CREATE TRIGGER show_updated AFTER UPDATE ON public.ps_endpoints REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION provisioner.show_filled();

ALTER TABLE ONLY provisioner.extensions
    ADD CONSTRAINT extensions_user_id_fkey FOREIGN KEY (user_id) REFERENCES provisioner.users(id);

ALTER TABLE ONLY provisioner.history
    ADD CONSTRAINT history_change_id_fkey FOREIGN KEY (change_id) REFERENCES provisioner.changes(id) ON DELETE CASCADE;

ALTER TABLE ONLY provisioner.past_secrets
    ADD CONSTRAINT past_secrets_change_id_fkey FOREIGN KEY (change_id) REFERENCES provisioner.changes(id) ON DELETE CASCADE;

INSERT INTO provisioner.alembic_version VALUES ('0010');

INSERT INTO provisioner.made_tables VALUES ('public', 'ps_endpoints', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_auths', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_aors', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_contacts', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_endpoint_id_ips', now());
INSERT INTO provisioner.made_tables VALUES ('public', 'ps_domain_aliases', now());
