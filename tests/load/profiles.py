"""What a headless run sends, for how long, and which figures make it fail: read from profiles.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("profiles.toml")
DEFAULT: Final = "steady500"
SECONDS_MAX: Final = 3600
"""No run is longer, whatever a profile or Locust's page says."""
DEFAULT_MIX: Final[dict[str, float]] = {"returning": 80, "card_testing": 9, "batches": 1, "retries": 7, "labels": 3}


@dataclass(frozen=True, slots=True)
class Budget:
    """The bounds of a run.

    `rate_share` is the least share of the profile's rate that must be reached, `degraded_share` the largest share of
    the predictions that may be degraded: scored without histories, because Redis did not answer in time.
    """

    p50_ms: float
    p99_ms: float
    failures: int
    rate_share: float
    degraded_share: float = 0.01
    p99_ms_by_name: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: `rate` requests a second by `users` clients for `seconds`, after `warm_up` seconds."""

    name: str
    about: str
    users: int
    rate: float
    seconds: int
    warm_up: int
    budget: Budget
    mix: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))

    def __post_init__(self) -> None:
        """Raise `ValueError` where a figure makes no run."""
        if min(self.users, self.rate, self.seconds) <= 0 or self.seconds + self.warm_up > SECONDS_MAX:
            raise ValueError(
                f"{self.name}: expected positive users, rate and seconds, at most {SECONDS_MAX} s in all, "
                f"got {self.users}, {self.rate:g} and {self.warm_up} + {self.seconds} s."
            )
        unknown = sorted(set(self.mix) - set(DEFAULT_MIX))
        if unknown or not any(share > 0 for share in self.mix.values()):
            raise ValueError(
                f"{self.name}: expected shares of {', '.join(DEFAULT_MIX)} in `mix`, got {dict(self.mix)}."
            )

    @property
    def rate_per_user(self) -> float:
        """Requests a second of each client."""
        return self.rate / self.users


def read_profiles(file: Path = FILE) -> dict[str, Profile]:
    """Read all profiles by name; raises `ValueError` that names profile and key where one is wrong."""
    with file.open("rb") as source:
        tables = tomllib.load(source)
    return {name: _profile(name, table) for name, table in tables.items()}


def judge(profile: Profile, figures: Mapping[str, Any]) -> list[str]:
    """Return what missed the profile's budget, a phrase for each figure; empty where all is well.

    `figures` is what locustfile.py writes: `predictions`, `degraded`, and `all` and `by_name`, each with requests,
    failures, requests_per_s, p50_ms and p99_ms.
    """
    budget, whole = profile.budget, figures["all"]
    if not whole["requests"]:
        return ["no request was answered"]
    missed = [
        f"{name} {whole[name]:g} > {bound:g}"
        for name, bound in (("p50_ms", budget.p50_ms), ("p99_ms", budget.p99_ms), ("failures", budget.failures))
        if whole[name] > bound
    ]
    least = budget.rate_share * profile.rate
    if whole["requests_per_s"] < least:
        missed.append(f"requests_per_s {whole['requests_per_s']:g} < {least:g}")
    if figures["degraded"] > budget.degraded_share * figures["predictions"]:
        missed.append(f"degraded {figures['degraded']} of {figures['predictions']} > {budget.degraded_share:.0%}")
    for name, bound in budget.p99_ms_by_name.items():
        found = figures["by_name"].get(name)
        if found is None:
            missed.append(f"no {name} was answered")
        elif found["p99_ms"] > bound:
            missed.append(f"p99_ms of {name} {found['p99_ms']:g} > {bound:g}")
    return missed


def _profile(name: str, table: dict[str, Any]) -> Profile:
    given = dict(table)
    budget = _made(Budget, f"{name}.budget", dict(given.pop("budget", {})))
    made: Profile = _made(Profile, name, {**given, "name": name, "budget": budget})
    return made


def _made(kind: Any, where: str, given: dict[str, Any]) -> Any:
    unknown = sorted(set(given) - {one.name for one in fields(kind)})
    if unknown:
        raise ValueError(f"{where}: expected {', '.join(one.name for one in fields(kind))}, got {', '.join(unknown)}.")
    try:
        return kind(**given)
    except TypeError as error:
        raise ValueError(f"{where}: {error}.") from error
