"""What Asterisk reads: rows of ps_endpoints, ps_auths and ps_aors, compiled from records. Pure."""

from provisioner.realtime.compile import Compiler, compile_user, compile_users
from provisioner.realtime.encode import decode_value, encode_value
from provisioner.realtime.limits import CODECS, check_codecs
from provisioner.realtime.mapping import Options
from provisioner.realtime.rows import (
    AORS,
    AUTHS,
    ENDPOINTS,
    NODES_SCHEMA,
    SECRET_COLUMNS,
    TABLES,
    YES_NO_COLUMNS,
    ColumnSet,
    Row,
    Rows,
    Value,
    merge,
)

__all__ = [
    "AORS",
    "AUTHS",
    "CODECS",
    "ENDPOINTS",
    "NODES_SCHEMA",
    "SECRET_COLUMNS",
    "TABLES",
    "YES_NO_COLUMNS",
    "ColumnSet",
    "Compiler",
    "Options",
    "Row",
    "Rows",
    "Value",
    "check_codecs",
    "compile_user",
    "compile_users",
    "decode_value",
    "encode_value",
    "merge",
]
