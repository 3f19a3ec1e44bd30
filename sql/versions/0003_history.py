"""Whose file speaks for a user, and the history of every change, into which the audit trail moves over."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE provisioner.users
        ADD COLUMN source text,
        ADD COLUMN version bigint NOT NULL DEFAULT 0,
        ADD CONSTRAINT users_source_form CHECK (source ~ '^[^[:cntrl:]]{1,200}$')
    """,
    "CREATE INDEX users_of_source ON provisioner.users (source) "
    "WHERE deleted_at IS NULL AND source IS NOT NULL",
    """
    CREATE TABLE provisioner.changes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor text NOT NULL,
        command text NOT NULL,
        file text,
        file_sha256 text,
        undoes bigint,
        CONSTRAINT changes_actor_form CHECK (actor <> ''),
        CONSTRAINT changes_command_form CHECK (command <> ''),
        CONSTRAINT changes_file_form CHECK (file <> ''),
        CONSTRAINT changes_file_sha256_form CHECK (file_sha256 ~ '^[0-9a-f]{64}$')
    )
    """,
    "CREATE INDEX changes_at ON provisioner.changes (at)",
    """
    CREATE TABLE provisioner.history (
        id bigint GENERATED ALWAYS AS IDENTITY,
        change_id bigint NOT NULL REFERENCES provisioner.changes (id) ON DELETE CASCADE,
        user_id bigint,
        login text,
        verb text NOT NULL,
        old jsonb,
        new jsonb,
        rows jsonb,
        secrets text[] NOT NULL DEFAULT '{}',
        old_version bigint,
        new_version bigint,
        PRIMARY KEY (change_id, id),
        CONSTRAINT history_verb_form CHECK (verb IN ('create', 'change', 'delete', 'restore', 'mend'))
    )
    """,
    "CREATE INDEX history_of_user ON provisioner.history (user_id, change_id)",
    "CREATE INDEX history_of_login ON provisioner.history (lower(login)) WHERE user_id IS NULL",
    """
    CREATE TABLE provisioner.past_secrets (
        id bigint GENERATED ALWAYS AS IDENTITY,
        change_id bigint NOT NULL REFERENCES provisioner.changes (id) ON DELETE CASCADE,
        user_id bigint NOT NULL,
        endpoint_id text NOT NULL,
        md5 text NOT NULL,
        sha256 text NOT NULL,
        realm text NOT NULL,
        secret_plain text,
        secret_length smallint,
        PRIMARY KEY (change_id, id)
    )
    """,
    # Each entry of the audit trail becomes a change of its own. What was no change of a user's record stands
    # under its rows.
    """
    INSERT INTO provisioner.changes (id, at, actor, command) OVERRIDING SYSTEM VALUE
        SELECT id, at, actor, command FROM provisioner.audit
    """,
    """
    SELECT setval('provisioner.changes_id_seq', max(id)) FROM provisioner.changes HAVING max(id) IS NOT NULL
    """,
    """
    INSERT INTO provisioner.history (change_id, login, verb, old, new, rows)
        SELECT id, login,
            CASE WHEN new IS NULL AND old IS NULL THEN 'mend'
                 WHEN new IS NULL THEN 'delete'
                 WHEN old IS NOT NULL THEN 'change'
                 WHEN command LIKE '% restore' THEN 'restore'
                 ELSE 'create' END,
            old, new, CASE WHEN rows <> '[]' THEN rows END
        FROM (SELECT id, login, command, nullif(changes -> 'old', 'null') AS old,
                     nullif(changes -> 'new', 'null') AS new, nullif(changes -> 'rows', 'null') AS rows
              FROM provisioner.audit) AS told
        ORDER BY id
    """,
    "DROP TABLE provisioner.audit",
    "DROP FUNCTION provisioner.audit_is_append_only()",
    """
    CREATE FUNCTION provisioner.history_is_append_only() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('provisioner.trims_history', true) = 'yes' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION 'the history is only ever added to' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    *(
        f"CREATE TRIGGER {table}_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provisioner.{table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION provisioner.history_is_append_only()"
        for table in ("changes", "history", "past_secrets")
    ),
    # Runs with the rights of its caller: who may not delete from these tables may not trim them either. What
    # another command trims at the same time is left to it.
    """
    CREATE FUNCTION provisioner.trim_history(keep_days integer) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
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
    $$
    """,
    "REVOKE ALL ON FUNCTION provisioner.trim_history(integer) FROM PUBLIC",
    "COMMENT ON COLUMN provisioner.users.source IS 'Which files speak for the user; NULL: made by hand.'",
    "COMMENT ON COLUMN provisioner.users.version IS 'The change that made the user what it is.'",
    "COMMENT ON TABLE provisioner.changes IS 'Who changed something, when and how. Only ever added to.'",
    "COMMENT ON COLUMN provisioner.changes.undoes IS 'The change that this one took back.'",
    "COMMENT ON TABLE provisioner.history IS 'Each user of a change, before and after; never a secret.'",
    "COMMENT ON COLUMN provisioner.history.secrets IS 'The endpoint ids that got another secret.'",
    "COMMENT ON COLUMN provisioner.history.rows IS 'Changes of Asterisk''s rows apart from the record''s.'",
    "COMMENT ON TABLE provisioner.past_secrets IS 'The digests that a change replaced, for its undo.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
