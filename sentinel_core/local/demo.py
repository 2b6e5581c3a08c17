"""The proof at the end of `up`: two transactions of a user with a past, scored over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sentinel_core.errors import LocalError
from sentinel_core.flows.traffic import API_KEY_HEADER
from sentinel_core.local.api_keys import passing_key
from sentinel_core.settings import Settings

_KEY_NAME: Final = "sentinel-up"


@dataclass(frozen=True, slots=True)
class Answer:
    """A demo transaction and what the service said about it."""

    title: str
    request: Mapping[str, Any]
    response: Mapping[str, Any]


def score_demo(settings: Settings, now: datetime) -> tuple[Answer, ...]:
    """Send the demo transactions to the service; raises `LocalError` where it does not answer each with a score.

    Where the service wants an API key it gets SENTINEL_API_KEY, else one that lives as long as this takes.
    """
    from sentinel_core.flows.demo import demo_transactions

    payloads = demo_transactions(settings, now)
    if settings.api_key is None and settings.needs_api_key:
        with passing_key(settings, _KEY_NAME, now) as key:
            return _score(settings, payloads, key)
    return _score(settings, payloads, settings.api_key)


def _score(settings: Settings, payloads: list[tuple[str, dict[str, Any]]], key: str | None) -> tuple[Answer, ...]:
    import httpx

    url = f"http://127.0.0.1:{settings.serving_port}/api/v1/predict"
    headers = {} if key is None else {API_KEY_HEADER: key}
    answers = []
    for title, payload in payloads:
        try:
            response = httpx.post(url, json=payload, headers=headers, timeout=30, trust_env=False)
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
