"""What Asterisk reads: rows of ps_endpoints, ps_auths and ps_aors, compiled from records. Pure."""

from provisioner.realtime.compile import Options, compile_user
from provisioner.realtime.encode import decode_value, encode_value
from provisioner.realtime.rows import (
    AORS,
    AUTHS,
    ENDPOINTS,
    SECRET_COLUMNS,
    TABLES,
    ColumnSet,
    Row,
    Rows,
    Value,
    merge,
)

__all__ = [
    "AORS",
    "AUTHS",
    "ENDPOINTS",
    "SECRET_COLUMNS",
    "TABLES",
    "ColumnSet",
    "Options",
    "Row",
    "Rows",
    "Value",
    "compile_user",
    "decode_value",
    "encode_value",
    "merge",
]
