"""What drift is measured on: every feature, every category and the score; and which of them have a say in the verdict.

What moves by itself has none. Calendar features follow the clock. Daily tables give all rows of a day the same new
values. Attempts at shared devices, addresses and merchants grow with the traffic of others. All three are measured and
shown (docs/decisions/0016).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from sentinel_core.features.catalog import CATALOGUE
from sentinel_core.schema import CATEGORY_COLUMNS

Kind = Literal["number", "category", "score"]
SCORE: Final = "fraud_score"
CAMPAIGNS: Final = "alert_campaigns"
"""The name under which the count of `sentinel_core.monitoring.campaigns` stands beside the variables."""
NOT_JUDGED: Final = {
    "temporal": "follows the clock: see the volume",
    "risk": "read from a daily table: all rows of a day move together",
    "attempts": "shared between users: moves with the volume",
}
"""Groups of features without a say, and why."""

AMOUNTS: Final = frozenset(
    (
        "amount",
        "amount_log",
        "is_small_amount",
        "is_round_amount",
        "is_bank_transfer",
        "amount_zscore",
        "amount_to_avg_ratio",
        "amount_to_older_ratio",
    )
)
"""What a payment says by itself, and its amount beside the mean of whole weeks.

None looks back on the day before, as counts of 24 hours do: a Monday's amounts are like a Friday's.
"""


@dataclass(frozen=True, slots=True)
class Variable:
    """One thing that is measured; `reason` says why it has no say, and is empty where it has."""

    name: str
    kind: Kind
    reason: str = ""

    @property
    def judged(self) -> bool:
        """Whether it has a say in the verdict."""
        return not self.reason

    @property
    def steady(self) -> bool:
        """Whether all weekdays are one season to it, and both days of a weekend."""
        return self.name in AMOUNTS


VARIABLES: Final[tuple[Variable, ...]] = (
    *(Variable(feature.name, "number", NOT_JUDGED.get(feature.group, "")) for feature in CATALOGUE),
    *(Variable(name, "category") for name in CATEGORY_COLUMNS),
    Variable(SCORE, "score"),
)
