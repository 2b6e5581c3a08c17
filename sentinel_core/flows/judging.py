"""Checks by the hour say what they could not judge where a server is away; the next one judges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sentinel_core.errors import RegistryError, StoreError


@contextmanager
def judging(what: str, so: str) -> Iterator[None]:
    """Raise a `StoreError` or `RegistryError` of the body again, saying that `what` could not be judged, and `so`.

    >>> with judging("the rule 'latency'", "nothing changed"):
    ...     raise StoreError("expected PostgreSQL at db:5432, and got: refused.", remedy="See `sentinel status`.")
    Traceback (most recent call last):
    sentinel_core.errors.StoreError: expected PostgreSQL at db:5432, and got: refused; so the rule 'latency' could not \
be judged, and nothing changed. See `sentinel status`.
    """
    try:
        yield
    except (StoreError, RegistryError) as error:
        said = f"{error.message.rstrip('.')}; so {what} could not be judged, and {so}."
        raise type(error)(said, remedy=error.remedy) from error
