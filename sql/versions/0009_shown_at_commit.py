"""A view is widened when the transaction commits that filled a column, not when it fills it.

Until then nobody but that transaction sees the value, so no node misses anything; and the view is locked for
the moment of the commit only. Before, whoever left such a transaction open stopped all others that filled
a column for the first time, and every read of an object that no cache held. So every database of ours has the
views from now on.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE provisioner.filled_columns (
        its_table regclass NOT NULL,
        columns text[] NOT NULL,
        filled_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    "COMMENT ON TABLE provisioner.filled_columns IS 'Who adds a row widens the view when it commits.'",
    # A schema without USAGE is passed over in a search_path. That needs no lock of what is in it.
    """
    CREATE FUNCTION provisioner.hide_views() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    # It must never fail: it runs in the transactions of other programs, on tables that those may alter.
    # What it asks first is answered quickest, and mostly no. A setting that ends with the transaction holds
    # what is noted already: whoever reads the table instead conflicts with others who are SERIALIZABLE too.
    """
    CREATE OR REPLACE FUNCTION provisioner.show_filled() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    # Nor may this fail. Whoever reads the view meanwhile waits for the lock too, so nobody waits long for it.
    """
    CREATE FUNCTION provisioner.show_at_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
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
    $$
    """,
    """
    CREATE CONSTRAINT TRIGGER show_at_commit AFTER INSERT ON provisioner.filled_columns
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION provisioner.show_at_commit()
    """,
    # Nodes have no right to a new view yet, so they pass all of them over until they get it.
    """
    CREATE OR REPLACE FUNCTION provisioner.narrow(its_table regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    "REVOKE ALL ON FUNCTION provisioner.hide_views(), provisioner.show_at_commit() FROM PUBLIC",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
