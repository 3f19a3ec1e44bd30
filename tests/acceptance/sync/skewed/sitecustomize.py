"""A clock that steps: what Python calls the time is off by the seconds in the file that CLOCK_OFF_BY names.

For a daemon alone, as a machine's clock cannot be stepped for one process of it.
"""

import datetime
import os
import time
from pathlib import Path

_file = Path(os.environ["CLOCK_OFF_BY"])
_time = time.time


def _stepped() -> float:
    return _time() + float(_file.read_text("ascii") or 0)


class _Stepped(datetime.datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> "_Stepped":
        return cls.fromtimestamp(_stepped(), tz)


time.time = _stepped
datetime.datetime = _Stepped  # type: ignore[misc]
