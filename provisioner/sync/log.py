"""What the daemon says on stderr: one line for each event, JSON or aligned text, whatever its values hold.

    log = get()
    log.info("told", node="pbx1", changes=3)
    log.warning("node not told", node="pbx1", error=exc)

An error of ours shows as its sentence. Of any other exception only its kind and the place are shown: its text
may hold a value that must not be.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections.abc import Collection, Mapping, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from provisioner.errors import ProvisionerError

Form = Literal["json", "text"]

_OURS: Final = str(Path(__file__).parents[1])
_EVENT_WIDTH: Final = 28
_LONGEST: Final = 200
"""Most characters that are taken of what another library logs."""

# Changed in place: loggers that were made before share this list.
_processors: Final[list[Processor]] = []


def configure(form: Form, *, debug: bool = False) -> None:
    """Say everything in this form from now on, what other libraries warn of too. Can be called again.

    ``debug`` shows events of that level, and the tracebacks of exceptions.
    """
    write = _as_json if form == "json" else _as_text
    _processors[:] = [lambda _, level, event: write(_fields(level, event, debug))]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )
    logging.getLogger().addHandler(_FOREIGN)
    threading.excepthook = _thread_ended


def get() -> FilteringBoundLogger:
    """The logger; ``get().bind(node=...)`` makes one whose lines all say so."""
    return cast(FilteringBoundLogger, structlog.get_logger())


class _Stderr:
    """Writes whole lines; nobody reading them is no reason to stop."""

    _lock: Final = threading.Lock()

    def msg(self, line: str) -> None:
        try:
            with self._lock:
                sys.stderr.write(line + "\n")
                sys.stderr.flush()
        except (OSError, ValueError):
            pass

    debug = info = warning = error = critical = msg


class _Foreign(logging.Handler):
    """Warnings of other libraries, in our form; of long ones the first line only."""

    def emit(self, record: logging.LogRecord) -> None:
        first, *_ = record.getMessage().splitlines() or [""]
        said: dict[str, Any] = {"logger": record.name}
        if record.exc_info:
            said["exc_info"] = record.exc_info[1]
        get().log(record.levelno, first[:_LONGEST], **said)


_FOREIGN: Final = _Foreign(logging.WARNING)


def _thread_ended(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_type is SystemExit:
        return
    get().error(
        "a thread ended", thread=ended.thread.name if ended.thread else None, exc_info=ended.exc_value
    )


def _fields(level: str, event: MutableMapping[str, Any], debug: bool) -> dict[str, Any]:
    """Time, level, event, then what else is said, all of it made of what JSON knows."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {"time": now, "level": level, "event": str(event.pop("event", ""))}
    raised = event.pop("exc_info", None)
    exc = sys.exc_info()[1] if raised is True else raised
    fields |= {key: _plain(value) for key, value in event.items() if key not in fields}
    if isinstance(exc, BaseException):
        fields.setdefault("error", _sentence(exc))
        if debug:
            fields["traceback"] = "".join(traceback.format_exception(exc))
    return fields


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, BaseException):
        return _sentence(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float):
        return round(value, 6) if abs(value) < float("inf") else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, Collection) and not isinstance(value, (bytes, bytearray)):
        return [_plain(item) for item in value]
    return str(value)


def _sentence(exc: BaseException) -> str:
    if isinstance(exc, ProvisionerError):
        return "; ".join(str(exc).splitlines())
    frames = traceback.extract_tb(exc.__traceback__)
    # Better the line of ours that called than the depth of a library.
    at = next((frame for frame in reversed(frames) if frame.filename.startswith(_OURS)), None)
    place = f" in {Path(at.filename).name}:{at.lineno}" if at else ""
    return f"unexpected {type(exc).__name__}{place}"


def _as_json(fields: Mapping[str, Any]) -> str:
    text = json.dumps(fields, ensure_ascii=False)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _as_text(fields: Mapping[str, Any]) -> str:
    rest = dict(fields)
    head = f"{rest.pop('time')} {rest.pop('level'):<8}"
    below = rest.pop("traceback", "").splitlines()
    said = f"{''.join(map(_escaped, rest.pop('event'))):<{_EVENT_WIDTH}}"
    pairs = (f"{''.join(map(_escaped, key))}={_word(value)}" for key, value in rest.items())
    lines = [f"{head} {' '.join((said, *pairs))}".rstrip()]
    return "\n".join([*lines, *("    " + "".join(map(_escaped, line)) for line in below)])


def _word(value: object) -> str:
    """A value without quotes where it can be told apart without."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and (not text or not text.isprintable() or set(text) & set(" \"'=\\")):
        text = json.dumps(text, ensure_ascii=False)
    return "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    """What would break the line or move a terminal's cursor, as JSON writes it."""
    return char if char.isprintable() else json.dumps(char)[1:-1]
