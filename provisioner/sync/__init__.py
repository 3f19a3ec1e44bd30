"""The daemon `provisioner sync`: it keeps every node told of what changed in the database."""
