"""What makes the generated data hard: every constant in one frozen value, fixed before any model.

Why each has its value, when it was fixed and what an oracle reaches under it is written down in
docs/decisions/0004-generator-difficulty.md. Do not change one to please a model's metric.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SCENARIOS: Final = ("stolen_card", "account_takeover", "card_testing")
"""The three patterns that are generated as sequences; the fourth `fraud_scenario` is `mimicry`, the fifth a drift."""
STOLEN, TAKEOVER, TESTING, MIMICRY, VOUCHER = range(1, 6)
"""Codes of a fraud's scenario inside the generator; 0 is legitimate."""
SCENARIO_NAMES: Final = (*SCENARIOS, "mimicry", "voucher_fraud")


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
    """Share of merchants where fraud gathers at any time: compromised, or careless about whom they sell to."""
    gathering_days: tuple[int, int] = (8, 35)
    """Fewest and most days for which fraud gathers at a merchant."""
    gathering_among_customers: float = 0.8
    """Share of those merchants that trade where the customers live, in proportion to them; the rest are anywhere."""
    attack_country_sigma: float = 0.6
    """Log-scale spread of the countries' weights as places to attack from, drawn from the seed."""
    attacks_among_customers: float = 0.5
    """Factor on the weight of the countries where the customers live."""

    plain: tuple[Cues, Cues, Cues] = (
        Cues(
            new_device=0.90,
            foreign=0.80,
            gathering=0.60,
            night=0.75,
            least_cues=3,
            most_cues=4,
            least_steps=2,
            mean_steps=4.5,
            most_steps=12,
            gap_seconds=900.0,
            gap_sigma=0.9,
            amount=5.0,
            amount_sigma=0.5,
        ),
        Cues(
            new_device=0.95,
            foreign=0.25,
            gathering=0.75,
            night=None,
            least_cues=2,
            most_cues=3,
            least_steps=1,
            mean_steps=2.7,
            most_steps=7,
            gap_seconds=600.0,
            gap_sigma=0.8,
            amount=2000.0,
            amount_sigma=0.6,
        ),
        Cues(
            new_device=0.95,
            foreign=0.25,
            gathering=0.75,
            night=None,
            least_cues=2,
            most_cues=3,
            least_steps=4,
            mean_steps=9.0,
            most_steps=30,
            gap_seconds=10.0,
            gap_sigma=0.8,
        ),
    )
    """Stolen card, account takeover, card testing: each shows all but at most one of its scenario's cues."""
    burst: Cues = Cues(
        new_device=1.0,
        foreign=0.25,
        gathering=0.65,
        night=None,
        least_cues=2,
        most_cues=3,
        least_steps=10,
        mean_steps=30.0,
        most_steps=60,
        gap_seconds=5.0,
        gap_sigma=0.5,
    )
    """A card-testing burst against one merchant over many cards."""
    ambiguous: tuple[Cues, Cues, Cues] = (
        Cues(
            new_device=0.50,
            foreign=0.50,
            gathering=0.30,
            night=0.50,
            least_cues=2,
            most_cues=2,
            least_steps=1,
            mean_steps=2.0,
            most_steps=5,
            gap_seconds=1800.0,
            gap_sigma=0.9,
            amount=3.0,
            amount_sigma=0.5,
        ),
        Cues(
            new_device=0.50,
            foreign=0.30,
            gathering=0.20,
            night=None,
            least_cues=1,
            most_cues=1,
            least_steps=1,
            mean_steps=1.7,
            most_steps=4,
            gap_seconds=1200.0,
            gap_sigma=0.9,
            amount=1200.0,
            amount_sigma=0.6,
        ),
        Cues(
            new_device=0.50,
            foreign=0.30,
            gathering=0.20,
            night=None,
            least_cues=1,
            most_cues=1,
            least_steps=2,
            mean_steps=4.0,
            most_steps=8,
            gap_seconds=25.0,
            gap_sigma=0.8,
        ),
    )
    """One cue less than the least of a plain attack, and milder: genuine customers have such episodes too."""


DEFAULT_DIFFICULTY: Final = Difficulty()
