"""The whole vector against the oracle, and offline against online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sentinel_core.features import build
from sentinel_core.features.build import (
    PARTS,
    RISK,
    Touches,
    Vectors,
    build_offline,
    build_online,
    build_part,
    join_parts,
)
from sentinel_core.features.catalog import CATALOGUE, FEATURE_NAMES, POSITION
from sentinel_core.features.entities import ENTITY_KINDS, RECORD, TOUCHED, USER, EntityKind
from sentinel_core.features.events import Events, Stamps
from sentinel_core.features.risk import RiskHistory, RiskTable, served_midnight
from tests.features.oracle import DAY, HOUR, Row, World, entity, to_events, vector
from tests.features.worlds import START, busy_world, row_lists, worlds

ATTEMPTS = POSITION["device_txn_count_10m"]
"""From here on the vector tells what is seen at devices, addresses and merchants, whoever the user is."""
NO_RECORDS = np.zeros(0, dtype=RECORD)


def offline(world: World, risk_as_of: NDArray[np.int64] | None = None) -> Vectors:
    history = RiskHistory(world.events(), world.label_arrays(), world.delay)
    return build_offline(world.events(), history, kind=world.kind, risk_as_of=risk_as_of)


def online(world: World, i: int, *, tail: int | None = None) -> Vectors:
    """Score row i as the service would: with the records that arrived before it, at most the last `tail` of them."""
    events = world.events()
    table = RiskHistory(events, world.label_arrays(), world.delay).at(int(served_midnight(events.time[i])))
    records = events.take(arrived(world, i)).records()[-(tail or len(events)) :]
    return build_online(events.take(slice(i, i + 1)), [records], table, kind=world.kind, touches=touches(world, [i]))


def touches(world: World, rows: Sequence[int]) -> Touches:
    """What the entities of rows that form a micro-batch knew."""
    events = world.events()
    noted = [
        (place, number, i)
        for number, kind in enumerate(TOUCHED)
        for place, i in enumerate(rows)
        if entity(world.rows[i], kind) is not None and not world.late_for(kind)[i]
    ]
    return Touches(
        np.array([place for place, _, _ in noted], dtype=np.int64),
        np.array([number for _, number, _ in noted], dtype=np.int64),
        events.time[[i for _, _, i in noted]],
        [events.take(arrived(world, i, TOUCHED[n])).records(kind=TOUCHED[n]) for _, n, i in noted],
    )


def arrived(world: World, i: int, kind: EntityKind | None = None) -> NDArray[np.int64]:
    """The numbers of the rows in the entity's history when row i arrives."""
    kind = kind or world.kind
    late, own = world.late_for(kind), entity(world.rows[i], kind)
    seen = [j for j in range(i) if entity(world.rows[j], kind) == own and not late[j]]
    return np.array(seen, dtype=np.int64)


def judge(world: World, vectors: Vectors, rows: Sequence[int]) -> None:
    for i in rows:
        expected = vector(world, i)
        assert vectors.late[i] == world.late[i]
        for name, value in zip(FEATURE_NAMES, vectors.values[i], strict=True):
            assert value == pytest.approx(expected[name], rel=3e-7, abs=1e-9), (i, name)


@given(worlds())
@settings(max_examples=120, deadline=None)
def test_the_offline_build_agrees_with_the_oracle(world: World) -> None:
    judge(world, offline(world), range(len(world.rows)))


@given(worlds(max_size=16))
@settings(max_examples=60, deadline=None)
def test_online_equals_offline_bit_for_bit(world: World) -> None:
    built = offline(world)
    for i in range(len(world.rows)):
        scored = online(world, i)
        assert scored.values[0].tobytes() == built.values[i].tobytes(), i
        assert scored.late[0] == built.late[i]
        assert scored.risk_as_of[0] == built.risk_as_of[i]


@pytest.mark.parametrize("jitter", [0, 2 * HOUR, 3 * DAY])
def test_busy_users_agree_with_the_oracle_and_online(jitter: int) -> None:
    world = busy_world(1500, seed=3, users=3, jitter=jitter)
    built = offline(world)
    assert any(world.late) == (jitter > DAY)
    rows = [*range(40), *range(700, 740), *range(1460, 1500)]
    judge(world, built, rows)
    for i in rows:
        assert online(world, i).values[0].tobytes() == built.values[i].tobytes(), i


@pytest.mark.parametrize("share", [0, 0.002])
def test_a_user_with_50_000_events_is_capped_exactly(share: float) -> None:
    world = busy_world(50_000, seed=5, jitter=HOUR, share=share, labelled=False)
    built = offline(world)
    rows = [0, 4095, 4096, 4097, 20_000, 49_999]
    judge(world, built, rows)
    assert built.values[-1, FEATURE_NAMES.index("user_prior_count")] == pytest.approx(4096, abs=100)
    for i in rows:
        # A store keeps a little more than the cap.
        assert online(world, i, tail=4096 + 256).values[0].tobytes() == built.values[i].tobytes(), i


def test_one_micro_batch_equals_one_row_at_a_time() -> None:
    world = busy_world(300, seed=7, users=8, jitter=5 * DAY)
    events = world.events()
    table = RiskHistory(events, world.label_arrays(), world.delay).at(START + 20 * DAY)
    rows = range(200, 300)
    histories = [events.take(arrived(world, i)).records() for i in rows]
    batch = build_online(events.take(np.array(rows)), histories, table, touches=touches(world, rows))
    single = [
        build_online(events.take(slice(i, i + 1)), [history], table, touches=touches(world, [i]))
        for i, history in zip(rows, histories, strict=True)
    ]
    assert batch.values.tobytes() == b"".join(one.values.tobytes() for one in single)
    np.testing.assert_array_equal(batch.late, [one.late[0] for one in single])
    assert 0 < batch.late.sum() < len(rows)


@given(row_lists(max_size=12))
@settings(max_examples=60, deadline=None)
def test_users_influence_each_other_only_where_they_meet(rows: list[Row]) -> None:
    """Whatever the block holds besides, what a user's own history says stays the same to the bit."""
    together = build_offline(to_events(rows), None).values
    for user in {row.user for row in rows}:
        own = [i for i, row in enumerate(rows) if row.user == user]
        alone = build_offline(to_events([rows[i] for i in own]), None).values
        assert together[own][:, :ATTEMPTS].tobytes() == alone[:, :ATTEMPTS].tobytes()


@given(row_lists())
@settings(max_examples=60, deadline=None)
def test_what_arrives_later_changes_nothing(rows: list[Row]) -> None:
    whole = build_offline(to_events(rows), None)
    half = len(rows) // 2
    first = build_offline(to_events(rows[:half]), None)
    assert first.values.tobytes() == whole.values[:half].tobytes()
    np.testing.assert_array_equal(first.late, whole.late[:half])


def test_a_logged_midnight_is_honoured() -> None:
    world = busy_world(200, seed=1, jitter=0)
    logged = np.full(200, START + 15 * DAY, dtype=np.int64)
    logged[::2] = 0
    built = offline(world, risk_as_of=logged)
    np.testing.assert_array_equal(built.risk_as_of, logged)
    for i in (0, 1, 150, 151):
        expected = vector(world, i, as_of=int(logged[i]))
        np.testing.assert_allclose(built.values[i], [expected[name] for name in FEATURE_NAMES], rtol=3e-7)


@pytest.mark.parametrize("threads", [1, 3])
def test_partitions_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    world = busy_world(600, seed=8, users=9, jitter=3 * DAY)
    whole = offline(world)
    monkeypatch.setattr(build, "PARTITION_ROWS", 50)
    risk = RiskHistory(world.events(), world.label_arrays(), world.delay)
    parts = build_offline(world.events(), risk, threads=threads)
    assert parts.values.tobytes() == whole.values.tobytes()
    np.testing.assert_array_equal(parts.late, whole.late)
    assert whole.late.any()


def test_no_rows_give_no_vectors() -> None:
    nothing = to_events([])
    for vectors in (
        build_offline(nothing, None),
        build_offline(nothing, RiskHistory(nothing, World([]).label_arrays(), DAY)),
        build_online(nothing, [], RiskTable.empty()),
    ):
        assert vectors.values.shape == (0, len(FEATURE_NAMES))
        assert len(vectors.late) == len(vectors.risk_as_of) == 0


def test_a_store_that_answers_a_late_row_with_nothing_gets_the_same_cold_start() -> None:
    rows = [Row("a", START + 3 * DAY), Row("a", START)]
    world = World(rows)
    assert world.late == [False, True]
    events: Events = world.events()
    scored = build_online(events.take(slice(1, 2)), [NO_RECORDS], RiskTable.empty(), touches=touches(world, [1]))
    assert scored.values[0].tobytes() == build_offline(events, None).values[1].tobytes()


@pytest.mark.parametrize("detour", [0, HOUR], ids=["in order", "out of order"])
def test_the_horizon_is_sharp(detour: int) -> None:
    """An event W + L before the newest one is out of the history, one a microsecond later is in."""
    reach = USER.longest_window_us + USER.lateness_us
    rows = [
        Row("a", START, device="gone"),
        Row("a", START + 1, device="kept"),
        Row("a", START + reach),
        Row("a", START + reach - detour, device="new"),
    ]
    world = World(rows)
    built = offline(world)
    judge(world, built, range(4))
    assert built.values[2:, FEATURE_NAMES.index("user_prior_count")].tolist() == [1, 1 if detour else 2]
    for i in range(4):
        assert online(world, i).values[0].tobytes() == built.values[i].tobytes()


def test_a_user_who_comes_back_after_the_horizon_starts_cold() -> None:
    """Offline keeps what an idle history in Redis would have lost by then: it must not show."""
    rows = [Row("a", START, device="old"), Row("a", START + 60 * DAY, device="new"), Row("b", START + 60 * DAY)]
    values = build_offline(to_events(rows), None).values
    history = slice(FEATURE_NAMES.index("user_txn_count_1h"), FEATURE_NAMES.index("location_change_flag") + 1)
    assert values[1, history].tobytes() == values[2, history].tobytes()


def test_of_many_simultaneous_events_the_one_that_arrived_last_is_the_last() -> None:
    """In a history that has to be sorted: of 500 events at three moments, those of one moment stay in their order."""
    random = np.random.default_rng(0)
    rows = [Row("a", START + int(moment) * HOUR, device=f"d{i}") for i, moment in enumerate(random.integers(0, 3, 500))]
    last = max((row for row in enumerate(rows) if row[1].time == START + 2 * HOUR), key=lambda row: row[0])[1]
    rows += [Row("a", START + 3 * HOUR, device=last.device), Row("a", START + 3 * HOUR - 1, device=last.device)]
    world = World(rows)
    built = offline(world)
    judge(world, built, [*range(480, 502)])
    assert built.values[-2:, FEATURE_NAMES.index("device_change_flag")].tolist() == [0, 0]
    for i in range(480, 502):
        assert online(world, i).values[0].tobytes() == built.values[i].tobytes()


def test_card_testing_over_500_cards_shows_at_the_merchant_from_the_tenth_attempt_on() -> None:
    """No card is used twice, no device or address is shared: the merchant alone sees the run."""
    minute = 60_000_000
    rows = [
        Row(f"card{i}", START + i * minute // 2, 100 + i % 400, "shop", f"d{i}", address=f"a{i}") for i in range(500)
    ]
    values = build_offline(to_events(rows), None).values
    within_10_minutes = np.minimum(np.arange(500) + 1, 20)
    np.testing.assert_array_equal(values[:, POSITION["merchant_txn_count_10m"]], within_10_minutes)
    np.testing.assert_array_equal(values[:, POSITION["merchant_small_count_10m"]], within_10_minutes)
    assert values[9, POSITION["merchant_small_count_1h"]] == 10
    assert (values[:, POSITION["user_txn_count_24h"]] == 1).all()
    assert (values[:, POSITION["device_txn_count_24h"]] == 1).all()


@pytest.mark.parametrize("share", [0, 0.01])
def test_the_cap_of_a_busy_merchant_is_exact(share: float) -> None:
    world = busy_world(1500, seed=13, users=40, days=1, jitter=HOUR // 2, share=share, labelled=False)
    rows = [
        replace(row, merchant="busy", device=None, address=None, time=START + (row.time - START) // 24)
        for row in world.rows
    ]
    world = World(rows)
    built = offline(world)
    last = [0, 511, 512, 513, 1000, 1499]
    judge(world, built, last)
    assert built.values[1499, POSITION["merchant_txn_count_1h"]] == pytest.approx(513, abs=1)
    for i in last:
        assert online(world, i).values[0].tobytes() == built.values[i].tobytes(), i


def test_what_was_noted_online_is_honoured() -> None:
    """Arrival at an entity is its own: here the merchant saw the last row first, and of the second nothing."""
    rows = [Row(f"u{i}", START + i, 100, "m", address="a") for i in range(4)]
    noted = Stamps(np.array([START, 0, START + 2, START - 1]), np.array([11, -1, 12, 10]))
    values = build_offline(to_events(rows), None, stamps={"merchant": noted}).values
    assert values[:, POSITION["merchant_txn_count_1h"]].tolist() == [2, 1, 3, 1]
    assert values[:, POSITION["address_txn_count_1h"]].tolist() == [1, 2, 3, 4]


def test_every_feature_belongs_to_one_part_or_to_its_row_alone() -> None:
    covered = [position for columns in PARTS.values() for position in range(columns.start, columns.stop)]
    alone = [POSITION[f.name] for f in CATALOGUE if f.group in {"transaction", "temporal"}]
    assert sorted(covered + alone) == list(range(len(CATALOGUE)))
    for kind in ENTITY_KINDS:
        assert {f.entity for f in CATALOGUE[PARTS[kind.name]]} == {kind.name}


@given(worlds(), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_parts_built_partition_by_partition_join_to_the_same_vectors(world: World, partitions: int) -> None:
    events = world.events()
    whole = offline(world)
    parts = [(RISK, slice(None), whole.values[:, PARTS[RISK]])]
    late = np.zeros(len(events), dtype=np.bool_)
    for kind in (world.kind, *TOUCHED):
        entities = events.entity(kind)
        for number in range(partitions):
            rows = np.flatnonzero((entities != 0) & (entities % np.uint64(partitions) == number))
            values, behind = build_part(events.take(rows), kind)
            parts.append((kind.name, rows, values))
            if kind is world.kind:
                late[rows] = behind
    np.testing.assert_array_equal(join_parts(events, parts), whole.values)
    np.testing.assert_array_equal(late, whole.late)
