"""The use cases; the one place where store, ami and conf meet."""

from provisioner.service.app import App
from provisioner.service.data import stored_data
from provisioner.service.finding import Finding
from provisioner.service.nodes import Status, StatusLine, status_data
from provisioner.service.told import Told
from provisioner.service.users import Outcome

__all__ = [
    "App",
    "Finding",
    "Outcome",
    "Status",
    "StatusLine",
    "Told",
    "status_data",
    "stored_data",
]
