"""docs/features.md, written from the catalogue."""

from __future__ import annotations

from typing import Final

from sentinel_core.features.catalog import CATALOGUE, Feature
from sentinel_core.features.entities import MICROS_PER_DAY, MICROS_PER_HOUR, TOUCHED, USER
from sentinel_core.features.risk import SERVED_AFTER_US
from sentinel_core.schema import CATEGORY_COLUMNS

COMMAND: Final = (
    "python -c 'from sentinel_core.features.document import catalog_markdown;"
    ' print(catalog_markdown(), end="")\' > docs/features.md'
)

_GROUPS: Final = {
    "transaction": "What the transaction says by itself",
    "temporal": "Time of day and day of the calendar",
    "user": "The user's history",
    "change": "What changed since the user's last attempt",
    "attempts": "What the device, the address and the merchant saw of late",
    "risk": "What was known about the merchant and the country at midnight",
}


def catalog_markdown() -> str:
    """Return the text of docs/features.md; a test holds that the file equals it."""
    parts = [_introduction()]
    for group, title in _GROUPS.items():
        features = [feature for feature in CATALOGUE if feature.group == group]
        parts += [f"## {title}\n", _table(features)]
    parts.append(_definitions())
    return "\n".join(parts)


def _introduction() -> str:
    return f"""# Features

<!-- Generated from sentinel_core/features/catalog.py. Do not edit; write it anew with
{COMMAND} -->

A vector holds these {len(CATALOGUE)} values in this order, as finite float32, and beside them the raw categories
{", ".join(f"`{name}`" for name in CATEGORY_COLUMNS)},
which a model's own bundle encodes. One kernel computes every vector, for a table of millions of rows and for one
request, and both are equal bit for bit (decision [0003](decisions/0003-amount-bound-and-exact-sums.md)).

t is the event's time. A window (a, b] leaves a out and holds b. *Cold start* is the value where nothing is known
yet: a user without a past, a time without a risk table. *Hash* stands for the definition, histories' limits
included: a model's bundle names its features with their hashes, and is refused where one has changed.
"""


def _table(features: list[Feature]) -> str:
    rows = ["| name | window | formula | unit | cold start | hash |", "|---|---|---|---|---|---|"]
    for feature in features:
        cold_start = "" if feature.cold_start is None else f"{feature.cold_start:,.0f}"
        window = f"{feature.entity}: {feature.window}" if feature.entity else ""
        cells = (f"`{feature.name}`", window, feature.formula, feature.unit, cold_start, f"`{feature.definition_hash}`")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _definitions() -> str:
    reach = f"{USER.longest_window_us // MICROS_PER_DAY} days + {USER.lateness_us // MICROS_PER_HOUR} hours"
    limits = "\n".join(
        f"- {kind.name} (`{kind.column}`): events of the last {_hours(kind.longest_window_us)}, lateness up to"
        f" {_hours(kind.lateness_us)}, at most the newest {kind.cap:,}."
        for kind in TOUCHED
    )
    return f"""## What a row sees

- *Earlier attempts* are those of the same user that had arrived before the row, whatever their outcome, with a time
  not later than t. Of simultaneous ones a row sees those that arrived before it. In a file, arrival is row order.
- Counts include the row itself. Means, deviations, "last" and changes look at earlier attempts only, so that an outlier
  cannot hide itself.
- A history begins after h = max(t, its newest time) − ({reach}), and holds the newest {USER.cap:,} attempts by
  (time, arrival), where the setting SENTINEL_USER_HISTORY_CAP names no other number; "last" looks back no further.
- A row more than {USER.lateness_us // MICROS_PER_HOUR} hours behind the newest of its user's attempts that arrived
  before it is *late*: its history features take their cold starts, and no later row sees it.
- *Last* is the latest earlier attempt by (time, arrival).

## What a device, an address and a merchant know

- Each has a history of its own: whoever's attempt it was, with its own order of arrival. A card-testing run over many
  cards shows here before it shows at any user.
{limits}
- Beyond those, the rules are the user's: a row that comes later than that lateness behind the newest of its entity is
  the first attempt as far as this entity goes, and is not noted there. Counts end at the cap, offline as well.
- Online, an entity's arrival number and, where one of our clocks made it differ, its time are logged with the answer;
  an offline build that is given them sees what the entity saw.

## What a risk table knows

- M is the midnight (UTC) of the table in use: that of t's day from {SERVED_AFTER_US // MICROS_PER_HOUR:02d}:00, before
  that the one of the day before. Of a table, nothing is later than M.
- A label counts from the moment at which it became known. The latest one known at midnight M is the one that counts,
  and a later reversal changes no row that was served before.
- In the database a payment that went through counts as legitimate from the label delay on, until a label says
  otherwise: by the end of the label window, when it does so in a training, a risk looks elsewhere.
- Events within the label delay (SENTINEL_LABEL_DELAY_DAYS, 7) before M are left out of risks and counts, since of
  those the frauds are known first; frauds that are known already form a count of their own.
- An unknown or absent merchant or country has the prior p, smoothed from nothing, and counts of 0. p is taken over all
  events of the window that are known at M.
- The vector's log names the midnight (`risk_as_of`), and a rebuilt vector honours it.
"""


def _hours(micros: int) -> str:
    hours = micros // MICROS_PER_HOUR
    return f"{hours} hour{'s' if hours > 1 else ''}"
