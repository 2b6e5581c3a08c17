"""Two transactions to show: an ordinary and a fraudulent one of a user with a past."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sentinel_core.datasets.snapshot import load_snapshot
from sentinel_core.errors import EmptyDataError
from sentinel_core.flows.state import read_last_training
from sentinel_core.schema import REQUEST_COLUMNS
from sentinel_core.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

PAST: Final = 20
"""Legitimate transactions that a user needs before anything can be unusual for them."""


def demo_transactions(settings: Settings, now: datetime) -> list[tuple[str, dict[str, Any]]]:
    """Make two requests for one user of the last training's snapshot: (title, payload), the ordinary one first.

    The user has at least 20 legitimate transactions and fell victim to a known fraud; the ordinary request repeats
    their most usual payment, the fraudulent one that fraud at `now`. Raises `EmptyDataError` where there is no such
    user.
    """
    snapshot = load_snapshot(settings.home, read_last_training(settings)["snapshot"])
    frame = snapshot.frame()
    frame = frame[frame["is_fraud"].notna()]
    frauds, legitimate = frame[frame["is_fraud"]], frame[~frame["is_fraud"]]
    past = legitimate.groupby("user_id", observed=True)["amount"].agg(["size", "median"])
    known = frauds.join(past[past["size"] >= PAST], on="user_id", how="inner")
    if known.empty:
        raise EmptyDataError(
            f"expected a known fraud of a user with {PAST} transactions in the snapshot {snapshot.id}, found none.",
            remedy="Train on more rows.",
        )
    victim = known.loc[_obviousness(known, legitimate).idxmax()]
    usual = legitimate[legitimate["user_id"] == victim["user_id"]]
    ordinary = usual.loc[(usual["amount"] - usual["amount"].median()).abs().idxmin()]
    return [
        ("an ordinary payment", _payload(ordinary, "ordinary", now - timedelta(seconds=1))),
        ("a fraudulent payment", _payload(victim, "fraudulent", now)),
    ]


def _obviousness(known: pd.DataFrame, legitimate: pd.DataFrame) -> pd.Series[float]:
    """Rank frauds for a demonstration: foreign to their user's past, and large for it; no model is asked."""
    import pandas as pd

    foreign = pd.Series(0.0, index=known.index)
    for column in ("device_id", "location_country"):
        if column in known:
            past = pd.MultiIndex.from_frame(legitimate[["user_id", column]])
            foreign += ~pd.MultiIndex.from_frame(known[["user_id", column]]).isin(past)
    return foreign * 10 + np.log(known["amount"] / known["median"].clip(lower=1.0))


def _payload(row: Any, title: str, now: datetime) -> dict[str, Any]:
    fields = json.loads(row[[name for name in REQUEST_COLUMNS if name in row.index]].to_json(date_format="iso"))
    required = {"merchant_category": "unknown", "transaction_type": "unknown"}
    given = {name: value for name, value in fields.items() if value is not None}
    return {
        **required,
        **given,
        "transaction_id": f"demo-{title}-{now:%Y%m%dT%H%M%S%f}",
        "timestamp": now.isoformat(),
    }
