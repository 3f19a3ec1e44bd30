"""Finds the folders that travel with the package: `sql`, `asterisk_conf`, `docker` and `systemd`."""

from pathlib import Path
from typing import Final, Literal, get_args

from provisioner.errors import ProvisionerError

ResourceName = Literal["sql", "asterisk_conf", "docker", "systemd"]

_PACKAGE: Final = Path(__file__).resolve().parent


def resource_dir(name: ResourceName) -> Path:
    """The folder `name`: inside the installed package, or beside it in a source checkout.

    Raises ProvisionerError when the name is unknown or the folder is missing.
    """
    if name not in get_args(ResourceName):
        raise ProvisionerError(
            f"There is no resource folder {name!r}; there are {', '.join(get_args(ResourceName))}."
        )
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise ProvisionerError(f"The folder {name!r} is missing beside {_PACKAGE}; install provisioner again.")
