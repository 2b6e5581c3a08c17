"""Events for the tests: simultaneous, shuffled, late, on the edges of windows, at the bounds of amounts."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from sentinel_core.features.entities import MICROS_PER_DAY, MICROS_PER_HOUR, USER, EntityKind
from tests.features.oracle import DAY, HOUR, Label, Row, World

START = 1_767_225_600_000_000
"""2026-01-01 00:00 UTC, a Thursday."""
MAX_CENTS = 999_999_999
SMALL_CAP = EntityKind("user", "user_id", 30 * MICROS_PER_DAY, 24 * MICROS_PER_HOUR, cap=4)

# Sums of these fall on, just before and just behind every window edge, and behind the horizon.
_STEPS = (
    0,
    0,
    1,
    -1,
    60_000_000,
    600_000_000,
    HOUR,
    -HOUR,
    6 * HOUR,
    DAY,
    -DAY,
    DAY - HOUR,
    6 * DAY,
    7 * DAY,
    23 * DAY,
    30 * DAY,
)
_USERS = ("a", "b", "Zoë", "用户-3", "🦊")
_amounts = st.sampled_from((0, 1, 499, 500, 501, 1000, 12_345, MAX_CENTS)) | st.integers(0, MAX_CENTS)


@st.composite
def row_lists(draw: st.DrawFn, *, max_size: int = 30) -> list[Row]:
    """Rows in order of arrival, whose times wander forwards and, at times, back."""
    users = draw(st.integers(1, len(_USERS)))
    time = START + draw(st.sampled_from((0, HOUR - 1, HOUR, 22 * HOUR, 6 * HOUR - 1)))
    rows = []
    for _ in range(draw(st.integers(0, max_size))):
        time += draw(st.sampled_from(_STEPS))
        rows.append(
            Row(
                user=_USERS[draw(st.integers(0, users - 1))],
                time=time,
                cents=draw(_amounts),
                merchant=draw(st.sampled_from((None, "m", "μ"))),
                device=draw(st.sampled_from((None, "d1", "d2"))),
                country=draw(st.sampled_from((None, "DE", "FR"))),
                address=draw(st.sampled_from((None, "192.0.2.1", "2001:db8::1"))),
                is_bank_transfer=draw(st.booleans()),
            )
        )
    return draw(st.permutations(rows)) if draw(st.booleans()) else rows


@st.composite
def worlds(draw: st.DrawFn, *, max_size: int = 30) -> World:
    """Rows with labels that come early, late, twice, or never."""
    rows = draw(row_lists(max_size=max_size))
    labels = []
    for number, row in enumerate(rows):
        for delay in draw(st.lists(st.sampled_from((0, HOUR, 3 * DAY, 7 * DAY, 7 * DAY + 1, 40 * DAY)), max_size=2)):
            labels.append(Label(number, draw(st.booleans()), row.time + delay))
    kind = draw(st.sampled_from((USER, SMALL_CAP)))
    delay = draw(st.sampled_from((7 * DAY, DAY, 36 * HOUR)))
    return World(rows, labels, delay=delay, kind=kind)


def busy_world(
    n: int,
    *,
    seed: int,
    users: int = 1,
    days: int = 40,
    jitter: int = 0,
    share: float = 1.0,
    labelled: bool = True,
    max_cents: int = MAX_CENTS,
) -> World:
    """Many rows; a `share` of them arrives up to `jitter` µs after its time."""
    random = np.random.default_rng(seed)
    arrives = np.sort(random.integers(START, START + days * DAY, n))
    times = (arrives - random.integers(0, jitter + 1, n) * (random.random(n) < share)).tolist()
    rows = [
        Row(f"u{user}", time, cents, f"m{merchant}", f"d{device}", ("DE", "FR", None)[country], f"a{device}")
        for time, cents, user, merchant, device, country in zip(
            times,
            random.integers(0, max_cents + 1, n).tolist(),
            random.integers(0, users, n).tolist(),
            random.integers(0, 5, n).tolist(),
            random.integers(0, 3, n).tolist(),
            random.integers(0, 3, n).tolist(),
            strict=True,
        )
    ]
    frauds, waits = (random.random(n) < 0.1).tolist(), random.integers(0, 9 * DAY, n).tolist()
    labels = [Label(i, frauds[i], times[i] + waits[i]) for i in range(n)] if labelled else []
    return World(rows, labels)
