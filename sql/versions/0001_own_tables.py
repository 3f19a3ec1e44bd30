"""Our own tables: users, their extensions, the audit trail and what the nodes are still to be told."""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE provisioner.users (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        login text NOT NULL,
        login_key text NOT NULL,
        name text NOT NULL,
        email text,
        active boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        deleted_at timestamptz,
        CONSTRAINT users_login_form CHECK (login ~ '^[^[:space:][:cntrl:]]{1,64}$'),
        CONSTRAINT users_login_key_form CHECK (login_key ~ '^[^[:space:][:cntrl:]]+$'),
        CONSTRAINT users_name_form CHECK (name <> '' AND name !~ '[[:cntrl:]]'),
        CONSTRAINT users_email_form CHECK (email ~ '^[^[:space:][:cntrl:]]+@[^[:space:][:cntrl:]]+$')
    )
    """,
    "CREATE UNIQUE INDEX users_login_taken ON provisioner.users (login_key) WHERE deleted_at IS NULL",
    "CREATE INDEX users_login_history ON provisioner.users (login_key, deleted_at)",
    """
    CREATE TABLE provisioner.extensions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES provisioner.users (id),
        position smallint NOT NULL,
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
        deleted_at timestamptz,
        CONSTRAINT extensions_position_form CHECK (position >= 0),
        CONSTRAINT extensions_kind_form CHECK (kind IN ('primary', 'additional', 'alias')),
        CONSTRAINT extensions_number_form CHECK (number ~ '^[0-9]{2,15}$'),
        CONSTRAINT extensions_label_form CHECK (label ~ '^[a-z0-9]{1,20}$'),
        CONSTRAINT extensions_label_of_alias CHECK ((kind = 'alias') = (label IS NOT NULL)),
        CONSTRAINT extensions_endpoint_id_form CHECK (endpoint_id ~ '^[a-z0-9-]{1,100}$'),
        CONSTRAINT extensions_lines_form CHECK (lines BETWEEN 1 AND 99),
        CONSTRAINT extensions_md5_form CHECK (md5 ~ '^[0-9a-f]{32}$'),
        CONSTRAINT extensions_sha256_form CHECK (sha256 ~ '^[0-9a-f]{64}$'),
        CONSTRAINT extensions_realm_form CHECK (realm <> ''),
        CONSTRAINT extensions_secret_length_form CHECK (secret_length > 0)
    )
    """,
    "CREATE UNIQUE INDEX extensions_endpoint_taken ON provisioner.extensions (endpoint_id) "
    "WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX extensions_position_taken ON provisioner.extensions (user_id, position) "
    "WHERE deleted_at IS NULL",
    "CREATE UNIQUE INDEX extensions_one_primary ON provisioner.extensions (user_id) "
    "WHERE kind = 'primary' AND deleted_at IS NULL",
    "CREATE INDEX extensions_number_history ON provisioner.extensions (number, deleted_at)",
    "CREATE INDEX extensions_endpoint_history ON provisioner.extensions (endpoint_id)",
    "CREATE INDEX extensions_of_user ON provisioner.extensions (user_id)",
    """
    CREATE TABLE provisioner.audit (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor text NOT NULL,
        command text NOT NULL,
        login text,
        changes jsonb NOT NULL,
        CONSTRAINT audit_actor_form CHECK (actor <> ''),
        CONSTRAINT audit_command_form CHECK (command <> '')
    )
    """,
    "CREATE INDEX audit_of_login ON provisioner.audit (login, id)",
    """
    CREATE FUNCTION provisioner.audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the audit trail is only ever added to' USING ERRCODE = 'insufficient_privilege';
    END
    $$
    """,
    "CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON provisioner.audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION provisioner.audit_is_append_only()",
    """
    CREATE TABLE provisioner.outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        node text NOT NULL,
        endpoint_id text NOT NULL,
        expire text[] NOT NULL,
        keep_contacts integer,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT outbox_node_form CHECK (node <> ''),
        CONSTRAINT outbox_expire_form CHECK (expire <@ ARRAY['endpoint', 'auth', 'aor']),
        CONSTRAINT outbox_keep_contacts_form CHECK (keep_contacts >= 0)
    )
    """,
    "CREATE INDEX outbox_of_node ON provisioner.outbox (node, id)",
    """
    CREATE TABLE provisioner.made_tables (
        schema_name text NOT NULL,
        table_name text NOT NULL,
        made_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (schema_name, table_name)
    )
    """,
    "COMMENT ON SCHEMA provisioner IS 'Users and extensions as provisioner keeps them; not for Asterisk.'",
    "COMMENT ON TABLE provisioner.users IS 'People. A deleted one stays, so that it can be restored.'",
    "COMMENT ON COLUMN provisioner.users.login_key IS 'The login without regard to case and Unicode form.'",
    "COMMENT ON TABLE provisioner.extensions IS 'SIP accounts. A deleted one keeps its number resting.'",
    "COMMENT ON COLUMN provisioner.extensions.md5 IS 'MD5 of user:realm:secret, in hex.'",
    "COMMENT ON COLUMN provisioner.extensions.sha256 IS 'SHA-256 of user:realm:secret, in hex.'",
    "COMMENT ON COLUMN provisioner.extensions.secret_plain IS 'Only where sip_secret_storage is plain.'",
    "COMMENT ON COLUMN provisioner.extensions.secret_length IS 'Of a chosen one; NULL: generated.'",
    "COMMENT ON TABLE provisioner.audit IS 'Who changed what; never a secret. Only ever added to.'",
    "COMMENT ON TABLE provisioner.outbox IS 'What each node is still to be told; gone once it was.'",
    "COMMENT ON TABLE provisioner.made_tables IS 'Those tables of Asterisk that provisioner made.'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    raise NotImplementedError("there is no way back; restore a backup")
