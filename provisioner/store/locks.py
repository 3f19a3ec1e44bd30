"""A lock between processes, by file."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_POLL: Final = 0.02


@contextmanager
def file_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of this file; the kernel lets go of it when the process dies.

    Raises TimeoutError when somebody else holds it for longer than ``seconds``.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # not inherited by programs started meanwhile
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} is locked") from None
                time.sleep(_POLL)
        yield
    finally:
        os.close(handle)
