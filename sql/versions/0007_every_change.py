"""Every change of endpoints, auths and AORs is noted for the nodes, and how far each node was told.

The outbox had one row for each node and endpoint, written by our own commands alone. Now triggers write one
row for each object that a statement changed, for all nodes, and a node's position is a snapshot: it is due
what is committed now and was not when that snapshot was taken. So a transaction that began early and commits
late is not skipped, and nobody waits for the oldest one that runs.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    "ALTER TABLE provisioner.outbox RENAME TO outbox_of_before",
    """
    CREATE TABLE provisioner.nodes (
        name text PRIMARY KEY,
        position pg_snapshot,
        whole boolean NOT NULL DEFAULT true,
        error text,
        told_at timestamptz,
        added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT nodes_name_form CHECK (name <> '')
    )
    """,
    # The key begins with xid, because due rows are looked for by it.
    """
    CREATE TABLE provisioner.outbox (
        id bigint GENERATED ALWAYS AS IDENTITY,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        node text,
        type text,
        object_id text NOT NULL,
        keep_contacts integer,
        renew text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT outbox_key PRIMARY KEY (xid, id),
        CONSTRAINT outbox_type_form CHECK (type IN ('endpoint', 'auth', 'aor')),
        CONSTRAINT outbox_keep_contacts_form CHECK (keep_contacts >= 0),
        CONSTRAINT outbox_renew_form CHECK (renew = '{}' OR renew <@ ARRAY['state', 'qualify', 'mwi'])
    )
    """,
    # Whoever was not told everything lacks what was not noted either: it forgets all it has cached.
    "INSERT INTO provisioner.nodes (name) SELECT DISTINCT node FROM provisioner.outbox_of_before",
    """
    INSERT INTO provisioner.outbox (node, type, object_id, keep_contacts, created_at)
        SELECT node, type, endpoint_id, CASE WHEN coalesce(place, 1) = 1 THEN keep_contacts END, created_at
        FROM provisioner.outbox_of_before
        LEFT JOIN unnest(expire) WITH ORDINALITY AS expired (type, place) ON true
        ORDER BY id, place
    """,
    "DROP TABLE provisioner.outbox_of_before",
    "ALTER SEQUENCE provisioner.outbox_id_seq1 RENAME TO outbox_id_seq",
    # The functions below must never fail: they run in the transactions of other programs, on tables that
    # those may alter. So they read the columns that there are, as texts, and take for 0 what is no number.
    # EXECUTE has each statement planned for its number of rows.
    """
    CREATE FUNCTION provisioner.is_noted() RETURNS boolean LANGUAGE plpgsql AS $$
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
    $$
    """,
    # *<> compares columns of every type. Whole rows wait for their other halves in memory: work_mem below.
    """
    CREATE FUNCTION provisioner.changed_rows(its_table regclass, operation text, VARIADIC columns text[])
    RETURNS text LANGUAGE plpgsql AS $$
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
    $$
    """,
    """
    CREATE FUNCTION provisioner.note_aors() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    """
    CREATE FUNCTION provisioner.note_endpoints() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' AS $$
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
    $$
    """,
    # Its phones came in through the endpoints that use the auth; where there is none, nobody did.
    """
    CREATE FUNCTION provisioner.note_auths() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' AS $$
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
    $$
    """,
    """
    CREATE FUNCTION provisioner.watch(tables_in text) RETURNS void LANGUAGE plpgsql AS $$
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
    $$
    """,
    """
    CREATE FUNCTION provisioner.unwatch(tables_in text) RETURNS void LANGUAGE plpgsql AS $$
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
    $$
    """,
    *(
        f"REVOKE ALL ON FUNCTION provisioner.{function} FROM PUBLIC"
        for function in (
            "is_noted()",
            "changed_rows(regclass, text, text[])",
            "note_aors()",
            "note_auths()",
            "note_endpoints()",
            "watch(text)",
            "unwatch(text)",
        )
    ),
    """
    SELECT provisioner.watch(schema_name) FROM provisioner.made_tables
    JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', schema_name, table_name))
    WHERE table_name IN ('ps_auths', 'ps_aors', 'ps_endpoints') AND c.relkind IN ('r', 'p')
    GROUP BY schema_name HAVING count(*) = 3
    """,
    "COMMENT ON TABLE provisioner.outbox IS 'What changed, until every node was told of it.'",
    "COMMENT ON COLUMN provisioner.outbox.xid IS 'The transaction that changed it.'",
    "COMMENT ON COLUMN provisioner.outbox.node IS 'The only node that is to be told; NULL: all.'",
    "COMMENT ON COLUMN provisioner.outbox.type IS 'What to expire; NULL: only the contacts of an AOR.'",
    "COMMENT ON COLUMN provisioner.outbox.keep_contacts IS "
    "'How many contacts of the AOR object_id stay; NULL: all.'",
    "COMMENT ON COLUMN provisioner.outbox.renew IS 'What expiring does not reach of the object.'",
    "COMMENT ON TABLE provisioner.nodes IS 'How far each Asterisk was told.'",
    "COMMENT ON COLUMN provisioner.nodes.position IS 'It was told all that this snapshot sees.'",
    "COMMENT ON COLUMN provisioner.nodes.whole IS 'Its whole caches are to be expired.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
