"""PostgreSQL: transactions, Asterisk's rows, history, outbox, migrations, and the embedded server."""

from provisioner.store.embedded import Embedded, EmbeddedStatus
from provisioner.store.findings import Finding
from provisioner.store.history import HistoryChange, HistoryEntry
from provisioner.store.numbers import NumberState, Use
from provisioner.store.outbox import Due
from provisioner.store.positions import NodeState
from provisioner.store.store import Address, Store
from provisioner.store.transaction import Transaction
from provisioner.store.users import StoredUser

__all__ = [
    "Address",
    "Due",
    "Embedded",
    "EmbeddedStatus",
    "Finding",
    "HistoryChange",
    "HistoryEntry",
    "NodeState",
    "NumberState",
    "Store",
    "StoredUser",
    "Transaction",
    "Use",
]
