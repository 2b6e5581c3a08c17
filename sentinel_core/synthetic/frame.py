"""The generated stream as a pandas frame with the schema's columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from sentinel_core.synthetic import vocabulary as v
from sentinel_core.synthetic.codes import device_texts
from sentinel_core.synthetic.difficulty import SCENARIO_NAMES
from sentinel_core.synthetic.vocabulary import IntArray
from sentinel_core.synthetic.world import merchant_names

if TYPE_CHECKING:
    from sentinel_core.synthetic.generate import Simulation

SCATTER_DEGREES: Final = 0.06
"""Payments lie within this many degrees of their city's centre."""
ID_DIGITS: Final = 9


def to_frame(simulation: Simulation) -> pd.DataFrame:
    """Spell out a simulation as a frame: column order of the schema, rows in time order."""
    stream, codes = simulation.stream, simulation.codes
    user = stream.user.astype(np.int64)
    country = v.CITY_COUNTRY[stream.city]
    rng = np.random.default_rng([simulation.seed, len(stream)])
    card = stream.card.astype(np.int64)
    return pd.DataFrame(
        {
            "transaction_id": _transaction_ids(simulation.name, len(stream)),
            "user_id": _named(stream.user, lambda used: [f"user_{code:06d}" for code in used.tolist()]),
            "amount": stream.cents / 100.0,
            "merchant_id": _from_list(stream.merchant, merchant_names(simulation.world.n_merchants)),
            "merchant_category": _from_list(stream.category, v.CATEGORY_NAMES),
            "transaction_type": _from_list(stream.type, v.TRANSACTION_TYPES),
            "timestamp": _moments(stream.time),
            "device_id": _named(stream.device, device_texts),
            "device_type": _from_list(stream.device_type, v.DEVICE_TYPES),
            "ip_address": _named(stream.address, codes.address_texts),
            "location_country": _from_list(country, v.COUNTRY_CODES),
            "location_city": _from_list(stream.city, v.CITY_NAMES),
            "latitude": _scatter(rng, v.CITY_LATITUDE, stream.city),
            "longitude": _scatter(rng, v.CITY_LONGITUDE, stream.city),
            "card_type": _from_list(_card_types(simulation, user), v.CARD_TYPES),
            "card_last_four": _from_list(
                np.where(card < 0, -1, (user * 7919 + card * 4871 + 1234) % 10_000), [f"{n:04d}" for n in range(10_000)]
            ),
            "is_fraud": simulation.labels.is_fraud,
            "labelled_at": _moments(simulation.labels.labelled_at),
            "is_fraud_true": simulation.labels.is_fraud_true,
            "fraud_scenario": _from_list(stream.scenario - 1, SCENARIO_NAMES),
        },
        copy=False,
    )


def _card_types(simulation: Simulation, user: IntArray) -> IntArray:
    cards = np.concatenate([population.cards for population in simulation.populations])
    card = simulation.stream.card.astype(np.int64)
    return np.where(card < 0, -1, cards[user, np.maximum(card, 0)])


def _from_list(codes: npt.NDArray[Any], names: Sequence[str]) -> pd.Categorical:
    """Make a category column of codes into a list of names; -1 is null."""
    dtype = pd.CategoricalDtype(pd.Index(names, dtype=object))
    # The stubs know neither arrays of codes nor the switch that skips checking them.
    return pd.Categorical.from_codes(codes, dtype=dtype, validate=False)  # type: ignore[call-arg, arg-type]


def _named(codes: npt.NDArray[np.int32], names: Callable[[IntArray], list[str]]) -> pd.Categorical:
    """Make a category column of the codes that occur, spelling each one once."""
    used = np.zeros(int(codes.max()) + 1, dtype=bool)
    used[codes] = True
    rank = np.cumsum(used, dtype=np.int32) - 1
    return _from_list(rank[codes], names(np.nonzero(used)[0]))


def _moments(micros: IntArray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(micros.view("datetime64[us]")).tz_localize("UTC")


def _scatter(rng: np.random.Generator, centre: npt.NDArray[np.float64], city: npt.NDArray[np.int8]) -> Any:
    noise = rng.integers(-6000, 6001, len(city), dtype=np.int16)
    return centre[city] + noise * (SCATTER_DEGREES / 6000)


def _transaction_ids(name: str, n: int) -> pd.Series[str]:
    """Spell txn_<name>_<row> for all rows by filling one Arrow buffer: the name tells data sets apart."""
    prefix = f"txn_{name}_".encode()
    width = len(prefix) + ID_DIGITS
    letters = np.empty((n, width), dtype=np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix, dtype=np.uint8)
    rest = np.arange(n, dtype=np.int32)
    for place in range(ID_DIGITS):
        letters[:, width - 1 - place] = 48 + rest % 10
        rest //= 10
    offsets = np.arange(n + 1, dtype=np.int64) * width
    array = pa.LargeStringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(letters))
    return pd.Series(array, dtype=pd.StringDtype("pyarrow"), copy=False)
