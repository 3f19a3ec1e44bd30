"""The files of ``/etc/asterisk``: rendered from the settings, written beside what others made, compared."""

from provisioner.conf.access import DatabaseAccess
from provisioner.conf.folder import FileDiff, FileState, Written, diff_dir, write
from provisioner.conf.render import render

__all__ = ["DatabaseAccess", "FileDiff", "FileState", "Written", "diff_dir", "render", "write"]
