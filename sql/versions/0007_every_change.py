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
    # Must never fail: it runs in the transactions of other programs, on tables that they may alter. So it
    # reads the columns that there are, as texts, and takes what is no number for 0. *<> compares columns of
    # every type. EXECUTE has each statement planned for its number of rows.
    """
    CREATE FUNCTION provisioner.note_changes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        columns text;
        nothing text;
        changed text;
        noted bigint;
    BEGIN
        -- A transaction with an older snapshot may not see the first node: it notes in any case.
        IF current_setting('transaction_isolation') = 'read committed'
            AND NOT EXISTS (SELECT FROM provisioner.nodes) THEN
            LOCK TABLE provisioner.nodes IN ROW SHARE MODE;
            IF NOT EXISTS (SELECT FROM provisioner.nodes) THEN
                RETURN NULL;
            END IF;
        END IF;

        SELECT string_agg(format(CASE WHEN a.attname IS NULL THEN 'NULL::text AS %1$I'
                                      ELSE 'r.%1$I::text AS %1$I' END, wanted), ', '),
               string_agg(format('NULL::text AS %I', wanted), ', ')
            INTO columns, nothing
            FROM unnest(CASE TG_TABLE_NAME
                WHEN 'ps_endpoints' THEN ARRAY['id', 'auth', 'aors', 'mailboxes', 'aggregate_mwi',
                    'mwi_from_user', 'incoming_mwi_mailbox', 'voicemail_extension']
                WHEN 'ps_auths' THEN ARRAY['id', 'username', 'realm', 'password', 'md5_cred',
                    'password_digest']
                ELSE ARRAY['id', 'max_contacts', 'mailboxes', 'voicemail_extension', 'qualify_frequency',
                    'qualify_timeout', 'authenticate_qualify', 'qualify_2xx_only'] END) AS wanted
            LEFT JOIN pg_attribute a
                ON a.attrelid = TG_RELID AND a.attname = wanted::name AND NOT a.attisdropped;
        nothing := format('(SELECT %s, NULL::record AS r WHERE false)', nothing);
        changed := CASE TG_OP
            WHEN 'INSERT' THEN format('%s AS o FULL JOIN (SELECT %s FROM written AS r) AS n ON n.id = o.id '
                'WHERE n.id IS NOT NULL', nothing, columns)
            WHEN 'UPDATE' THEN format('(SELECT %1$s, r FROM gone AS r) AS o '
                'FULL JOIN (SELECT %1$s, r FROM written AS r) AS n ON n.id = o.id '
                'WHERE coalesce(n.id, o.id) IS NOT NULL '
                'AND (n.id IS NULL OR o.id IS NULL OR n.r *<> o.r)', columns)
            WHEN 'DELETE' THEN format('(SELECT %s FROM gone AS r) AS o FULL JOIN %s AS n ON n.id = o.id '
                'WHERE o.id IS NOT NULL', columns, nothing)
            ELSE format('(SELECT %s FROM %I.%I AS r) AS o FULL JOIN %s AS n ON n.id = o.id '
                'WHERE o.id IS NOT NULL', columns, TG_TABLE_SCHEMA, TG_TABLE_NAME, nothing)
        END;

        IF TG_TABLE_NAME = 'ps_aors' THEN
            EXECUTE format($sql$
                INSERT INTO provisioner.outbox (type, object_id, keep_contacts, renew)
                SELECT 'aor', id, CASE WHEN gone THEN 0 WHEN fewer AND will < was THEN will END,
                    array_remove(ARRAY[CASE WHEN made THEN 'state' END, CASE WHEN qualify THEN 'qualify' END,
                                       CASE WHEN mwi THEN 'mwi' END], NULL)
                FROM (SELECT coalesce(n.id, o.id) AS id, n.id IS NULL AS gone, o.id IS NULL AS made,
                    n.id = o.id AND n.max_contacts IS DISTINCT FROM o.max_contacts AS fewer,
                    CASE WHEN o.max_contacts !~ '[^0-9]' AND length(o.max_contacts) BETWEEN 1 AND 9
                         THEN o.max_contacts::integer ELSE 0 END AS was,
                    CASE WHEN n.max_contacts !~ '[^0-9]' AND length(n.max_contacts) BETWEEN 1 AND 9
                         THEN n.max_contacts::integer ELSE 0 END AS will,
                    n.id = o.id AND (n.qualify_frequency, n.qualify_timeout, n.authenticate_qualify,
                        n.qualify_2xx_only) IS DISTINCT FROM (o.qualify_frequency, o.qualify_timeout,
                        o.authenticate_qualify, o.qualify_2xx_only) AS qualify,
                    CASE WHEN o.id IS NULL THEN n.mailboxes <> '' ELSE n.id = o.id
                        AND (n.mailboxes, n.voicemail_extension)
                        IS DISTINCT FROM (o.mailboxes, o.voicemail_extension) END AS mwi
                    FROM %s) AS changed
                $sql$, changed);
        ELSIF TG_TABLE_NAME = 'ps_endpoints' THEN
            EXECUTE format($sql$
                WITH changed AS MATERIALIZED (
                    SELECT coalesce(n.id, o.id) AS id, o.aors AS lost,
                    CASE WHEN n.id IS NULL OR n.id = o.id
                        AND (n.auth, n.aors) IS DISTINCT FROM (o.auth, o.aors) THEN 0 END AS keep,
                    CASE WHEN CASE WHEN o.id IS NULL THEN n.mailboxes <> '' ELSE n.id = o.id
                        AND (n.mailboxes, n.aggregate_mwi, n.mwi_from_user, n.incoming_mwi_mailbox,
                            n.voicemail_extension)
                        IS DISTINCT FROM (o.mailboxes, o.aggregate_mwi, o.mwi_from_user,
                            o.incoming_mwi_mailbox, o.voicemail_extension) END
                        THEN ARRAY['mwi'] ELSE '{}' END AS renew
                    FROM %s
                )
                INSERT INTO provisioner.outbox (type, object_id, keep_contacts, renew)
                SELECT 'endpoint', id, keep, renew FROM changed
                UNION ALL
                SELECT NULL, btrim(aor), 0, '{}' FROM changed, unnest(string_to_array(lost, ',')) AS aor
                WHERE keep = 0 AND lost <> id AND btrim(aor) NOT IN ('', id)
                $sql$, changed);
        ELSE
            -- Phones came in through the endpoints that use the auth; where there is none, nobody did.
            EXECUTE format($sql$
                WITH changed AS MATERIALIZED (
                    SELECT coalesce(n.id, o.id) AS id, CASE
                        WHEN n.id IS NULL OR o.id IS NULL THEN true
                        WHEN (n.username, n.realm) IS DISTINCT FROM (o.username, o.realm) THEN true
                        WHEN (n.password, n.md5_cred, n.password_digest)
                            IS NOT DISTINCT FROM (o.password, o.md5_cred, o.password_digest) THEN false
                        ELSE coalesce(
                            CASE WHEN n.password_digest IS DISTINCT FROM o.password_digest
                                 THEN substring(lower(n.password_digest) FROM 'md5:([0-9a-f]+)') END,
                            CASE WHEN n.md5_cred IS DISTINCT FROM o.md5_cred THEN lower(n.md5_cred) END, '')
                        IS DISTINCT FROM coalesce(
                            CASE WHEN n.password_digest IS DISTINCT FROM o.password_digest
                                 THEN substring(lower(o.password_digest) FROM 'md5:([0-9a-f]+)') END,
                            CASE WHEN n.md5_cred IS DISTINCT FROM o.md5_cred THEN lower(o.md5_cred) END)
                        END AS cut
                    FROM %s
                ), used AS MATERIALIZED (%s)
                INSERT INTO provisioner.outbox (type, object_id, keep_contacts)
                SELECT 'auth', c.id, CASE WHEN u.id IS NOT NULL THEN 0 END
                FROM changed c LEFT JOIN (SELECT DISTINCT id FROM used WHERE aor = id) u ON u.id = c.id
                UNION ALL
                SELECT DISTINCT NULL, aor, 0 FROM used WHERE aor <> id
                $sql$, changed, CASE WHEN (
                    SELECT count(*) FROM pg_attribute a
                    WHERE a.attrelid = to_regclass(format('%I.ps_endpoints', TG_TABLE_SCHEMA))
                    AND a.attname IN ('auth', 'aors') AND NOT a.attisdropped) < 2
                THEN $sql$ SELECT ''::text AS id, ''::text AS aor WHERE false $sql$ ELSE format($sql$
                    SELECT c.id, btrim(aor) AS aor FROM (
                        SELECT c.id, e.aors::text AS aors FROM changed c
                        JOIN %1$I.ps_endpoints e ON e.auth::text = c.id WHERE c.cut
                        UNION ALL
                        SELECT c.id, e.aors::text FROM %1$I.ps_endpoints e
                        CROSS JOIN unnest(string_to_array(e.auth::text, ',')) AS named
                        JOIN changed c ON c.id = btrim(named) WHERE c.cut AND e.auth::text ~ '[, ]') AS c
                    CROSS JOIN unnest(string_to_array(c.aors, ',')) AS aor WHERE btrim(aor) <> ''
                    $sql$, TG_TABLE_SCHEMA) END);
        END IF;
        GET DIAGNOSTICS noted = ROW_COUNT;
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
        FOREACH its IN ARRAY ARRAY['ps_auths', 'ps_aors', 'ps_endpoints'] LOOP
            EXECUTE format('CREATE TRIGGER note_inserted AFTER INSERT ON %I.%I '
                'REFERENCING NEW TABLE AS written FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_changes()', tables_in, its);
            EXECUTE format('CREATE TRIGGER note_updated AFTER UPDATE ON %I.%I '
                'REFERENCING OLD TABLE AS gone NEW TABLE AS written FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_changes()', tables_in, its);
            EXECUTE format('CREATE TRIGGER note_deleted AFTER DELETE ON %I.%I '
                'REFERENCING OLD TABLE AS gone FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_changes()', tables_in, its);
            EXECUTE format('CREATE TRIGGER note_truncated BEFORE TRUNCATE ON %I.%I FOR EACH STATEMENT '
                'EXECUTE FUNCTION provisioner.note_changes()', tables_in, its);
        END LOOP;
        -- Who re-keys one auth must not have to wait until every endpoint was looked at.
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
        for function in ("note_changes()", "watch(text)", "unwatch(text)")
    ),
    """
    SELECT provisioner.watch(schema_name) FROM provisioner.made_tables
    WHERE table_name IN ('ps_auths', 'ps_aors', 'ps_endpoints')
    AND to_regclass(format('%I.%I', schema_name, table_name)) IS NOT NULL
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
