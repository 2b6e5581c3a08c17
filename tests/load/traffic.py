"""What the simulated clients send: transactions of cardholders who come again, and card testing. No network here."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

PREFIX: Final = "load-"
"""The beginning of every id, so that rows of a load test can be told from others."""
CARDHOLDERS: Final = 2_000
MERCHANTS: Final = 500
BATCH_MAX: Final = 100
_COUNTRIES: Final = (("DE", "Berlin", 52.52, 13.40), ("FR", "Lyon", 45.76, 4.84), ("PT", "Porto", 41.15, -8.61))
_SHOPS: Final = (
    ("grocery", "purchase", 3.4),
    ("restaurant", "purchase", 3.3),
    ("electronics", "online", 4.8),
    ("travel", "online", 5.5),
    ("subscription", "online", 2.4),
    ("cash", "withdrawal", 4.4),
)
"""Category, transaction type, and the mean of the logarithm of the amount."""
_DEVICES: Final = ("mobile", "desktop", "tablet")
_CARDS: Final = ("visa", "mastercard", "maestro", "amex")

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cardholder:
    """A cardholder: the same for the same number in every run, so that histories grow from run to run."""

    number: int

    def purchase(self, at: datetime, rng: random.Random) -> Payload:
        """Return a purchase at one of the cardholder's merchants, from the home device and address."""
        n = self.number
        place = (n * 31 + rng.randrange(8) * 7919) % MERCHANTS
        category, kind, log_amount = _SHOPS[place % len(_SHOPS)]
        country, city, latitude, longitude = _COUNTRIES[n % len(_COUNTRIES)]
        return {
            "transaction_id": f"{PREFIX}{uuid4().hex}",
            "user_id": f"{PREFIX}user-{n:06d}",
            "amount": round(rng.lognormvariate(log_amount + n % 7 / 10, 0.6), 2),
            "merchant_id": f"{PREFIX}merchant-{place:05d}",
            "merchant_category": category,
            "transaction_type": kind,
            "timestamp": at.isoformat(),
            "device_id": f"{PREFIX}device-{n:06d}",
            "device_type": _DEVICES[n % len(_DEVICES)],
            "ip_address": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}",
            "location_country": country,
            "location_city": city,
            "latitude": latitude,
            "longitude": longitude,
            "card_type": _CARDS[n % len(_CARDS)],
            "card_last_four": f"{n % 10_000:04d}",
        }


def some_cardholder(rng: random.Random, cardholders: int = CARDHOLDERS) -> Cardholder:
    """Draw a cardholder, some far more often than others."""
    return Cardholder(int(cardholders * rng.random() ** 2))


def batch(at: datetime, rng: random.Random, size: int | None = None) -> list[Payload]:
    """Return a batch of `size` purchases, 2 to 100 where no size is given."""
    return [some_cardholder(rng).purchase(at, rng) for _ in range(size or rng.randint(2, BATCH_MAX))]


def card_testing(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the fields of one attempt after the other: small amounts on many cards at one merchant from one device."""
    place, device = rng.randrange(MERCHANTS), rng.getrandbits(32)
    address = f"10.255.{rng.randrange(256)}.{rng.randrange(256)}"
    while True:
        yield {
            "amount": round(rng.uniform(0.5, 5.0), 2),
            "merchant_id": f"{PREFIX}merchant-{place:05d}",
            "merchant_category": "subscription",
            "transaction_type": "online",
            "device_id": f"{PREFIX}tester-{device:08x}",
            "device_type": "desktop",
            "ip_address": address,
        }
