"""The command line: parse, call the service once, print."""

from provisioner.cli.main import main

__all__ = ["main"]
