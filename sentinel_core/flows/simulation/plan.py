"""What is simulated: how the world changes, how long, how much traffic, and by which settings the system runs in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sentinel_core.errors import DataError, did_you_mean
from sentinel_core.schema import to_micros
from sentinel_core.settings import Settings
from sentinel_core.synthetic import Ramp
from sentinel_core.synthetic.drifts import AMOUNT, VOUCHER_FRAUD
from sentinel_core.synthetic.labels import REPORTING_WINDOW_US
from sentinel_core.synthetic.world import DAY_US

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""The Monday on which the system goes into operation; before it lies the history that its first model learns from."""
HISTORY_DAYS: Final = 90
"""A month until the histories of users are as long as they will ever be, and two to learn from."""
FEWEST_DAYS, MOST_DAYS = 2, 180
FEWEST_ROWS_A_DAY: Final = 500


@dataclass(frozen=True, slots=True)
class Scenario:
    """How the world changes: a drift of the generator, whole `days` after it began; `title` says it to people."""

    title: str
    drift: Mapping[str, float]
    days: float = 0.0


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "none": Scenario("nothing changes", {}),
    "gradual": Scenario("amounts rise to one and a half of what they were, over three weeks", {AMOUNT: 1.5}, days=21),
    "sudden": Scenario("all amounts are one and a half of what they were, from one moment on", {AMOUNT: 1.5}),
    "new_fraud_pattern": Scenario(
        "malware on customers' own phones buys vouchers: as much fraud again as all other patterns make, and none of"
        " their cues",
        {VOUCHER_FRAUD: 0.02},
    ),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A simulation: `days` in operation after a history of 90; the world changes `change_day` days into them.

    `models` are the candidates of each training, by their defaults. Of what is declined `explore_share` goes through.
    Raises `DataError` for what cannot be simulated.
    """

    scenario: str
    days: int = 60
    rows_a_day: int = 2_500
    fraud_rate: float = 0.02
    seed: int = 0
    change_day: int | None = None
    models: tuple[str, ...] = ("random_forest",)
    explore_share: float = 0.1

    def __post_init__(self) -> None:
        """Check what the generator would not."""
        if self.scenario not in SCENARIOS:
            raise DataError(
                f"expected a scenario of {', '.join(SCENARIOS)}, got {self.scenario!r}."
                f"{did_you_mean(self.scenario, list(SCENARIOS))}",
                remedy="Name one of them.",
            )
        for name, value, least, most in (
            ("days", self.days, FEWEST_DAYS, MOST_DAYS),
            ("rows a day", self.rows_a_day, FEWEST_ROWS_A_DAY, 10**6),
            ("change day", self.changed_after, 0, self.days),
        ):
            if not least <= value <= most:
                raise DataError(
                    f"expected {least:,} to {most:,} {name}, got {value:,}.", remedy="Ask for a number in that range."
                )

    @property
    def changed_after(self) -> int:
        """Days in operation before the world changes; a third of them where nothing is said."""
        return self.days // 3 if self.change_day is None else self.change_day

    @property
    def changed_at(self) -> datetime | None:
        """When the world begins to change; None where it does not."""
        return BEGIN + timedelta(days=self.changed_after) if SCENARIOS[self.scenario].drift else None

    @property
    def end(self) -> datetime:
        """When the simulation ends."""
        return BEGIN + timedelta(days=self.days)

    @property
    def rows(self) -> int:
        """Rows to generate, history and operation together."""
        return self.rows_a_day * self.whole_days

    @property
    def whole_days(self) -> int:
        """Days of history and operation together."""
        return HISTORY_DAYS + self.days

    def ramp(self) -> Ramp | None:
        """Return how the change comes about."""
        if self.changed_at is None:
            return None
        begin = to_micros(self.changed_at)
        return Ramp(begin, begin + int(SCENARIOS[self.scenario].days * DAY_US))


def operated(settings: Settings, plan: Plan) -> Settings:
    """Return the settings that the simulated system runs by: ours, with labels that take as long as the generator's.

    A share of what is declined goes through. Where no policy is named, thresholds are those of lowest cost: the gate
    judges by costs, and what two models decide on a few large amounts would otherwise be most of their difference.
    Nobody gets a message.
    """
    window = REPORTING_WINDOW_US / DAY_US
    policy = "lowest_cost" if settings.threshold_policy == "auto" else settings.threshold_policy
    changed: dict[str, Any] = {
        "threshold_policy": policy,
        "label_window_days": window,
        "label_delay_days": min(settings.label_delay_days, window),
        "cohort_ages": f"{window:.0f},30,60",
        "explore_share": plan.explore_share,
        "explore_key": f"simulation {plan.seed}",
        "notify_urls": None,
    }
    # Cached ages and windows belong to the settings that they were computed for.
    return Settings.model_validate({**settings.model_dump(), **changed})
