"""The typed errors of SentinelML.

Every message says what was expected, what came, where, and what to do about it.
Shells turn a `SentinelError` into one line and a non-zero exit code, or into an
HTTP status; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import partial
from typing import Any


class SentinelError(Exception):
    """An error that a user can act on.

    `message` states what was expected, what came and where; `remedy` states what to do.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel whole from a worker process to its parent."""
        return partial(type(self), remedy=self.remedy), (self.message,)


class SettingsError(SentinelError):
    """A setting is missing, malformed or contradicts another one."""


class DataError(SentinelError):
    """Data does not have the form that was declared for it."""


class ColumnError(DataError):
    """A column is missing, unknown or holds values of the wrong type."""


class EmptyDataError(DataError):
    """There are no rows where rows are needed."""


class DataTooLargeError(DataError):
    """A file is larger than this machine was allowed to load."""


class ValidationError(DataError):
    """A validation suite failed; the rejected rows were kept."""


class TrainingError(SentinelError):
    """A model cannot be trained from what was given."""


class ExperimentError(SentinelError):
    """A comparison of two models on shared traffic cannot be set up, or was given what it cannot count."""


class EngineError(SentinelError):
    """What a distributed engine needs is missing, or the engine does not run."""


class BundleError(SentinelError):
    """A model bundle is broken, incomplete or does not fit this code."""


class RegistryError(SentinelError):
    """The model registry does not hold what was asked for, or refused a change."""


class StoreError(SentinelError):
    """PostgreSQL or Redis is away, or refused what was asked of it."""


class PayloadConflictError(SentinelError):
    """A transaction_id was used before with another payload (HTTP 409)."""


class ParityError(SentinelError):
    """A logged vector is not the one that the offline build gives for the same events."""


class LocalError(SentinelError):
    """An embedded server could not be started, found or stopped."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the nearest known spelling as ` Did you mean 'x'?`, or nothing where none is near."""
    plain = {_plain(candidate): candidate for candidate in known}
    near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
    return f" Did you mean {plain[near[0]]!r}?" if near else ""


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
