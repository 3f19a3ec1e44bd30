"""The rule that an endpoint needs an auth, judged for all rows of a statement at once.

A look at each row when the transaction ended cost 30 us for one inserted and 140 us for one deleted, so 17 s
for 100,000 users. Now a trigger looks at all rows of a statement together: some 3 us for each. Endpoints that
cannot be judged yet wait for the end of the transaction in a table of their own, so that the order of writing
is still free.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE provisioner.unjudged (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tables_in text NOT NULL,
        endpoint_id text NOT NULL,
        lost_auth text
    )
    """,
    "COMMENT ON TABLE provisioner.unjudged IS "
    "'Endpoints whose auth is looked for when the transaction ends; empty outside of one.'",
    # FOR KEY SHARE keeps another transaction from deleting the auth before this one ends. An endpoint with a
    # list of auths is rare, and left to the end. EXECUTE has each statement planned for its number of rows.
    """
    CREATE OR REPLACE FUNCTION provisioner.endpoint_needs_auth() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    """
    CREATE OR REPLACE FUNCTION provisioner.auth_is_needed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    """
    CREATE FUNCTION provisioner.judge_endpoint() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    "CREATE CONSTRAINT TRIGGER judge_endpoint AFTER INSERT ON provisioner.unjudged "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION provisioner.judge_endpoint()",
    """
    CREATE OR REPLACE FUNCTION provisioner.guard_auths(tables_in text) RETURNS void LANGUAGE plpgsql AS $$
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
    $$
    """,
    """
    SELECT provisioner.guard_auths(n.nspname)
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE t.tgname = 'endpoint_needs_auth' AND c.relname = 'ps_endpoints'
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
