"""``python -m provisioner.cli``: the same as the ``provisioner`` command."""

from provisioner.cli import main

main()
