from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentinel_core.features.entities import MICROS_PER_DAY, MICROS_PER_HOUR, RECORD
from sentinel_core.stores.history_rules import HistoryLimits, arrange, arrival_numbers, finish, running_max

LIMITS = HistoryLimits(retention_us=31 * MICROS_PER_DAY, lateness_us=MICROS_PER_DAY, cap=4, life_ms=1)
codes_and_values = st.lists(st.tuples(st.integers(0, 5), st.integers(-(2**52), 2**52)), max_size=60)


def rows(events: list[tuple[int, int, int, int]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return codes and records of (user, time in hours, arrival, id)."""
    records = np.zeros(len(events), RECORD)
    for n, (_, hour, arrival, name) in enumerate(events):
        records[n]["time"], records[n]["arrival"], records[n]["id_hash"] = hour * MICROS_PER_HOUR, arrival, name
    return np.array([user for user, *_ in events], np.int64), records


def lag(record: Any) -> int:
    return int.from_bytes(record.tobytes()[66:72], "little")


@given(codes_and_values)
def test_the_running_maximum_starts_anew_for_each_user(pairs: list[tuple[int, int]]) -> None:
    pairs.sort(key=lambda pair: pair[0])
    codes, values = np.array([c for c, _ in pairs], np.int64), np.array([v for _, v in pairs], np.int64)
    expected = [max(v for c, v in pairs[: n + 1] if c == pairs[n][0]) for n in range(len(pairs))]
    assert running_max(codes, values).tolist() == expected


def test_the_running_maximum_stays_exact_where_users_times_span_passes_64_bits() -> None:
    codes = np.repeat(np.arange(5000, dtype=np.int64), 2)
    values = np.tile(np.array([2**52, -(2**52)], np.int64), 5000)
    assert (running_max(codes, values) == 2**52).all()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**50)), max_size=60))
def test_arrival_numbers_grow_strictly_and_never_precede_the_event(pairs: list[tuple[int, int]]) -> None:
    codes, times = np.array([c for c, _ in pairs], np.int64), np.array([t for _, t in pairs], np.int64)
    last: dict[int, int] = {}
    for (code, time), number in zip(pairs, arrival_numbers(codes, times).tolist(), strict=True):
        assert number == max(time, last.get(code, time - 1) + 1)
        last[code] = number


def naive(events: list[tuple[int, int, int, int]]) -> tuple[dict[int, list[tuple[int, int]]], int, int]:
    """Return id and lag of each user's history, and how many were late and old, one event at a time: no cap reached."""
    kept: dict[int, list[tuple[int, int, int]]] = {}
    late = old = 0
    seen = set()
    for user, hour, _, name in sorted(events, key=lambda event: event[2]):
        if (user, name) in seen:
            continue
        seen.add((user, name))
        history = kept.setdefault(user, [])
        newest = max([hour, *(h for h, _, _ in history)])
        if newest - hour > 24:
            late += 1
        else:
            history.append((hour, name, (newest - hour) * MICROS_PER_HOUR))
    result = {}
    for user, history in kept.items():
        newest = max(h for h, _, _ in history)
        front = 0
        while history[front][0] < newest - 32 * 24:
            front += 1
        old += front
        rest = history[front:]
        result[user] = [(name, lag) for _, name, lag in rest]
    return result, late, old


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1200), st.integers(0, 10**6), st.integers(1, 40)), max_size=60)
)
def test_the_rules_on_arrays_are_the_rules_one_by_one(events: list[tuple[int, int, int, int]]) -> None:
    arranged = arrange(*rows(events))
    final = finish(arranged, LIMITS)
    expected, late, old = naive(events)
    got: dict[int, list[tuple[int, int]]] = {}
    for code, one in zip(final.codes.tolist(), final.records, strict=True):
        got.setdefault(code, []).append((int(one["id_hash"]), lag(one)))
    assert got == expected
    assert (final.late, final.old, final.capped) == (late, old, 0)


def test_the_cap_counts_by_time_not_by_arrival() -> None:
    hours = np.random.default_rng(3).integers(0, 20, 200).tolist()
    final = finish(arrange(*rows([(0, hour, n, n + 1) for n, hour in enumerate(hours)])), LIMITS)
    oldest = sorted(range(200), key=lambda n: (hours[n], n))[: 200 - 132]
    assert final.records["id_hash"].tolist() == [n + 1 for n in range(200) if n not in oldest]


def test_the_cap_leaves_the_newest_and_half_the_slack() -> None:
    final = finish(arrange(*rows([(0, 0, n, n + 1) for n in range(200)])), LIMITS)
    assert final.records["id_hash"].tolist() == list(range(201 - 132, 201))
    assert final.capped == 200 - 132
