"""How often each of the two verdicts on drift is wrong, as measured (docs/decisions/0016-drift.md).

The figures stand wherever someone chooses between the verdicts: the command, the page and the metrics of alert rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Measured:
    """How often windows with one change, or with none, were called drift: by SentinelML and by Evidently's preset."""

    windows: str
    sentinel: str
    evidently: str


MEASURED: Final = (
    Measured("no drift", "16 of 5,040", "9%"),
    Measured("amounts × 1.5", "494 of 500", "10%"),
    Measured("10 points of traffic to other countries", "498 of 500", "3%"),
    Measured("30% card testing", "500 of 500", "100%"),
    Measured("fraud rate × 5 at 500 rows", "148 of 250", "60%"),
    Measured("fraud rate × 3 at 1,000 rows", "84 of 250", "10%"),
    Measured("fraud rate × 2 at 5,000 rows", "29 of 125", "0%"),
)
"""Called drift, of windows of 500 to 5,000 rows. SentinelML takes two windows that agree, the preset takes one."""
HOW: Final = (
    "How often each says drift: SentinelML over two windows, Evidently's preset over one (180 windows without drift,"
    " 10 to 30 with each change; docs/decisions/0016-drift.md)"
)
EVIDENTLY_ERRS: Final = (
    "Evidently's preset says drift in 9% of windows without drift, and in 10% of those whose amounts grew by half;"
    " SentinelML's verdict in 0.3% and 99%."
)
