"""JSON log lines, one object a line, on standard output.

Our own lines and those of the libraries take the same way out, so that one rule masks what must not be read in a log:
parts of a card number, addresses, passwords. A failure is logged by its type, the first line of its
text and the frames that it passed; database drivers put whole rows into the lines after the first.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

from sentinel_core.stores.key_hash import PREFIX

MASK: Final = "***"
MASKED_KEYS: Final = frozenset({"card_last_four", "ip_address", "password", "authorization", "x-api-key", "api_key"})
_CREDENTIALS: Final = re.compile(r"(?P<scheme>\w+://)[^/@\s]*@")
_FIELD: Final = re.compile(r"""(?P<field>(?:card_last_four|ip_address)["']?\s*[:=]\s*["']?)[^"'\s,;)\]}]+""")
_API_KEY: Final = re.compile(rf"\b{PREFIX}[A-Za-z0-9_-]+")
_FRAMES: Final = 8


def configure(level: str, *, process: str, stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard output) as JSON, named by `process`."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _with_process(process),
    ]
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _failure,
                mask,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("serving").setLevel(level)
    logging.getLogger("sentinel_core").setLevel(level)
    for name in ("bentoml", "bentoml.serve", "uvicorn", "uvicorn.error", "circus"):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide the values of `MASKED_KEYS`, at any depth; in text those of the request, credentials in URLs, API keys."""
    for key, value in event.items():
        event[key] = _masked(key, value)
    return event


def _masked(key: str, value: Any) -> Any:
    if key.lower() in MASKED_KEYS:
        return None if value is None else MASK
    if isinstance(value, str):
        return _without_secrets(value)
    if isinstance(value, dict):
        return {str(k): _masked(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_masked("", v) for v in value]
    return value


def _without_secrets(text: str) -> str:
    text = _CREDENTIALS.sub(rf"\g<scheme>{MASK}@", text)
    return _API_KEY.sub(MASK, _FIELD.sub(rf"\g<field>{MASK}", text))


def _with_process(process: str) -> Any:
    def add(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    return add


def _failure(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if info is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = describe(error)
        frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def describe(error: BaseException) -> str:
    """Name an error by its type and the first line of its text."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
