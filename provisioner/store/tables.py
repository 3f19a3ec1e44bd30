"""Our own tables; what they really are is in sql/versions. What changed since is in outbox.py, as SQL."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    MetaData,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

SCHEMA: Final = "provisioner"

metadata = MetaData(schema=SCHEMA)

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("login", Text, nullable=False),
    Column("login_key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("active", Boolean, nullable=False),
    Column("webrtc", Boolean, nullable=False, server_default="false"),
    Column("source", Text),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("deleted_at", DateTime(timezone=True)),
)

extensions = Table(
    "extensions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("user_id", BigInteger, ForeignKey(users.c.id), nullable=False),
    Column("position", SmallInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("label", Text),
    Column("endpoint_id", Text, nullable=False),
    Column("lines", SmallInteger, nullable=False),
    Column("md5", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("realm", Text, nullable=False),
    Column("secret_plain", Text),
    Column("secret_length", SmallInteger),
    Column("deleted_at", DateTime(timezone=True)),
)

changes = Table(
    "changes",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("file", Text),
    Column("file_sha256", Text),
    Column("undoes", BigInteger),
)

history = Table(
    "history",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("change_id", BigInteger, ForeignKey(changes.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", BigInteger),
    Column("login", Text),
    Column("verb", Text, nullable=False),
    Column("old", JSONB),
    Column("new", JSONB),
    Column("rows", JSONB),
    Column("secrets", ARRAY(Text), nullable=False),
    Column("old_version", BigInteger),
    Column("new_version", BigInteger),
)

past_secrets = Table(
    "past_secrets",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("change_id", BigInteger, ForeignKey(changes.c.id, ondelete="CASCADE"), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("md5", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("realm", Text, nullable=False),
    Column("secret_plain", Text),
    Column("secret_length", SmallInteger),
)

made_tables = Table(
    "made_tables",
    metadata,
    Column("schema_name", Text, primary_key=True),
    Column("table_name", Text, primary_key=True),
    Column("made_at", DateTime(timezone=True), nullable=False),
)
