"""The proof at the end of `up`: two transactions of a user with a past, scored over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sentinel_core.errors import LocalError
from sentinel_core.settings import Settings


@dataclass(frozen=True, slots=True)
class Answer:
    """A demo transaction and what the service said about it."""

    title: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]


def score_demo(settings: Settings, now: datetime) -> tuple[Answer, ...]:
    """Send the demo transactions to the service; raises `LocalError` where it does not answer each with a score."""
    import httpx

    from sentinel_core.flows.demo import demo_transactions

    url = f"http://127.0.0.1:{settings.serving_port}/api/v1/predict"
    answers = []
    for title, payload in demo_transactions(settings, now):
        try:
            response = httpx.post(url, json=payload, timeout=30, trust_env=False)
        except httpx.HTTPError as error:
            raise LocalError(
                f"expected a score from {url}, got: {error}.", remedy="See `sentinel logs serving`."
            ) from error
        if response.is_error:
            raise _refusal(url, f"{response.status_code} {response.text[:300]}")
        answers.append(Answer(title, payload, response.json()))
    return tuple(answers)


def _refusal(url: str, what: str) -> LocalError:
    return LocalError(f"expected a score from {url}, got: {what}", remedy="See `sentinel logs serving`.")
