"""Provisioner makes user records real on Asterisk: PJSIP realtime rows, told to every node and proven."""

__version__ = "0.1.0"

__all__ = ["__version__"]
