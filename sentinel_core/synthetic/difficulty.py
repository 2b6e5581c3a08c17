"""What makes the generated data hard: every constant in one frozen value, fixed before any model.

Why each has its value, when it was fixed and what an oracle reaches under it is written down in
docs/decisions/0004-generator-difficulty.md. Do not change one to please a model's metric.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SCENARIOS: Final = ("stolen_card", "account_takeover", "card_testing")
"""The three patterns that are generated as sequences; `mimicry` joins them as the fourth `fraud_scenario`."""
STOLEN, TAKEOVER, TESTING, MIMICRY = range(1, 5)
"""Codes of a fraud's scenario inside the generator; 0 is legitimate."""
SCENARIO_NAMES: Final = (*SCENARIOS, "mimicry")


@dataclass(frozen=True, slots=True)
class Cues:
    """How one scenario's sequences look.

    The four cues: a device that is new to the victim, a foreign country, merchants where fraud gathers at the time, and
    the night (None: any hour, no cue). Each has its probability; a sequence shows `least_cues` to `most_cues` of those
    that its scenario has. The number of steps is geometric from `least_steps` on with mean `mean_steps`, cut at
    `most_steps`. Gaps and amounts are lognormal (`gap_seconds` and `amount` are medians); the amount is a factor on the
    merchant's usual one for a stolen card, an amount of money for a takeover, and unused for card testing.
    """

    new_device: float
    foreign: float
    gathering: float
    night: float | None
    least_cues: int
    most_cues: int
    least_steps: int
    mean_steps: float
    most_steps: int
    gap_seconds: float
    gap_sigma: float
    amount: float = 1.0
    amount_sigma: float = 0.0


@dataclass(frozen=True, slots=True)
class Difficulty:
    """The constants of the generator's difficulty; shares are of true frauds unless they say otherwise."""

    hidden_share: float = 0.04
    """Frauds drawn from the victim's own behaviour: mimicry, near-invisible by construction."""
    ambiguous_share: float = 0.08
    """Frauds of episodes that genuine customers have too, with `lookalikes_per_ambiguous` genuine ones for each."""
    lookalikes_per_ambiguous: float = 0.5
    missed_share: float = 0.02
    """Frauds that nobody reports: their observed label is legitimate."""
    friendly_share: float = 0.01
    """Legitimate transactions disputed by their own cardholder: observed label fraud, counted against true frauds."""

    hard_negatives_per_fraud: float = 3.0
    travel_share: float = 0.30
    gift_share: float = 0.15
    new_phone_share: float = 0.20
    micro_share: float = 0.20
    night_work_share: float = 0.15
    """The five kinds' shares of the hard negatives; they sum to 1 with the lookalikes taken from the gifts."""

    scenario_shares: tuple[float, float, float] = (0.38, 0.27, 0.35)
    """Stolen card, account takeover, card testing: shares of the frauds that are not hidden."""
    burst_share: float = 0.25
    """Share of the card-testing attempts that run against one merchant over many cards."""
    ring_share: float = 0.35
    """Share of attacks by an organised ring, which uses its few devices and its country again and again."""
    testing_amount: tuple[float, float] = (0.50, 5.00)
    gathering_merchants: float = 0.06
    """Share of merchants where fraud gathers at any time, each for one to five weeks."""

    plain: tuple[Cues, Cues, Cues] = field(
        default=(
            Cues(0.85, 0.75, 0.55, 0.70, 3, 4, 2, 4.5, 12, 900.0, 0.9, 4.5, 0.50),
            Cues(0.90, 0.25, 0.60, None, 2, 3, 1, 2.7, 7, 600.0, 0.8, 1800.0, 0.70),
            Cues(0.90, 0.25, 0.60, None, 2, 3, 4, 9.0, 30, 10.0, 0.8),
        )
    )
    """Stolen card, account takeover, card testing: all but at most one of the scenario's cues."""
    burst: Cues = field(default=Cues(1.0, 0.25, 0.65, None, 2, 3, 10, 30.0, 60, 5.0, 0.5))
    """A card-testing burst against one merchant over many cards."""
    ambiguous: tuple[Cues, Cues, Cues] = field(
        default=(
            Cues(0.50, 0.50, 0.30, 0.50, 2, 2, 1, 2.0, 5, 1800.0, 0.9, 3.0, 0.50),
            Cues(0.50, 0.30, 0.20, None, 1, 1, 1, 1.7, 4, 1200.0, 0.9, 1200.0, 0.60),
            Cues(0.50, 0.30, 0.20, None, 1, 1, 2, 4.0, 8, 25.0, 0.8),
        )
    )
    """The same with one cue less than the least of a plain attack: genuine customers have such episodes too."""


DEFAULT_DIFFICULTY: Final = Difficulty()
