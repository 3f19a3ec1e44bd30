"""Nodes read the columns that are in use, through views.

Asterisk asks for ``SELECT *``, and of the 146 columns of ps_endpoints a phone has some 15: reading the others
takes a third of the time of a node that has to read everybody anew by ODBC, a tenth by res_config_pgsql. So
views of the filled ones come before the tables in the search_path of Asterisk's role. Triggers add a column
to them in the same transaction that first fills it, whoever does. Where a view is gone, the same name means
the table.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    "CREATE SCHEMA provisioner_nodes",
    """
    CREATE FUNCTION provisioner.view_of(its_table regclass) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
        SELECT format('provisioner_nodes.%I', relname) FROM pg_class WHERE oid = its_table
    $$
    """,
    """
    CREATE FUNCTION provisioner.shown(its_table regclass) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
        SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = to_regclass(provisioner.view_of(its_table)) AND EXISTS (
            SELECT FROM pg_rewrite its JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = its.oid
            WHERE its.ev_class = attrelid AND refclassid = 'pg_class'::regclass AND refobjid = its_table)
    $$
    """,
    """
    CREATE FUNCTION provisioner.hidden(its_table regclass) RETURNS text[]
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
        SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}')
        FROM (SELECT coalesce(provisioner.shown(its_table), '{}') AS ones OFFSET 0) AS shown, pg_attribute
        WHERE attrelid = its_table AND attnum > 0 AND NOT attisdropped AND attname <> ALL (ones)
    $$
    """,
    # As a text, because only the trigger itself sees what a statement wrote.
    """
    CREATE FUNCTION provisioner.filled(rows_of text, columns text[]) RETURNS text
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
        SELECT format('SELECT array_remove(ARRAY[%s]::text[], NULL) FROM %s AS r',
            string_agg(format('CASE WHEN count(r.%1$I) > 0 THEN %1$L END', one), ', '), rows_of)
        FROM unnest(columns) AS one
    $$
    """,
    """
    CREATE FUNCTION provisioner.overlooked(its_table regclass) RETURNS text[]
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        found text[];
    BEGIN
        EXECUTE provisioner.filled(its_table::text, provisioner.hidden(its_table)) INTO found;
        RETURN found;
    END
    $$
    """,
    # A view keeps its columns in their order; new ones come last.
    """
    CREATE FUNCTION provisioner.show(its_table regclass, more text[]) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    # It must never fail: it runs in the transactions of other programs, on tables that those may alter.
    # What it asks first is answered quickest, and mostly no.
    """
    CREATE FUNCTION provisioner.show_filled() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        hidden text[] := provisioner.hidden(TG_RELID);
        are_some boolean;
        filled text[];
    BEGIN
        EXECUTE (
            SELECT format('SELECT EXISTS (SELECT FROM written AS r WHERE NOT ROW(%s) IS NULL)',
                string_agg('r.' || quote_ident(one), ', '))
            FROM unnest(hidden) AS one) INTO are_some;
        IF NOT are_some OR provisioner.shown(TG_RELID) IS NULL THEN
            RETURN NULL;
        END IF;
        EXECUTE provisioner.filled('written', hidden) INTO filled;
        BEGIN
            PERFORM provisioner.show(TG_RELID, filled);
        EXCEPTION WHEN OTHERS THEN
            RAISE WARNING 'nodes read every column of % from now on: %', TG_RELID::regclass, SQLERRM
                USING HINT = 'provisioner db upgrade makes its view anew.';
            EXECUTE format('DROP VIEW IF EXISTS %s', provisioner.view_of(TG_RELID));
        END;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE FUNCTION provisioner.narrow(its_table regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
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
    *(
        f"REVOKE ALL ON FUNCTION provisioner.{function} FROM PUBLIC"
        for function in (
            "view_of(regclass)",
            "shown(regclass)",
            "hidden(regclass)",
            "filled(text, text[])",
            "overlooked(regclass)",
            "show(regclass, text[])",
            "show_filled()",
            "narrow(regclass)",
        )
    ),
    "COMMENT ON SCHEMA provisioner_nodes IS 'What Asterisk finds before its tables.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
