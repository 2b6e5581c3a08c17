"""Any past training can be rebuilt as it was, whatever was said, taken back or dated back since."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Connection, Engine

from sentinel_core.datasets.logged import LOGGED, LoggedFile
from sentinel_core.datasets.snapshot import Snapshot, load_snapshot
from sentinel_core.errors import DataError, EmptyDataError, StoreError
from sentinel_core.flows import database
from sentinel_core.flows.database import read_transactions
from sentinel_core.flows.ingest import Request, make_snapshot
from sentinel_core.schema import Label, OutcomeReport, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.feature_sets import add_feature_set
from sentinel_core.stores.history_load import load_labels, load_transactions
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.outcomes import record_outcomes
from sentinel_core.stores.recording import write_batch
from tests.stores.makers import accepted_event, answered_event

START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
COLUMNS = ("transaction_id", "user_id", "amount", "merchant_id", "timestamp", "arrived_at", "outcome", "propensity")
NUMBERED = (*COLUMNS, "user_arrival")
MANY = 8


@dataclass
class World:
    """What happens to a few transactions over months, and what is known of it, kept as plain lists.

    Each statement is (id, what, when it held, when it was recorded), in the order of recording.
    """

    conn: Connection
    draw: random.Random
    seen: dict[str, tuple[datetime, datetime, str | None, float | None]] = field(default_factory=dict)
    answers: dict[str, tuple[bool, datetime, datetime]] = field(default_factory=dict)
    vectors: dict[str, list[float]] = field(default_factory=dict)
    labels: list[tuple[str, bool, datetime, datetime]] = field(default_factory=list)
    outcomes: list[tuple[str, str, float | None, datetime, datetime]] = field(default_factory=list)

    def live(self, name: str, now: datetime) -> None:
        """A transaction with its answer, recorded up to days after both; one that a file brought gets its answer."""
        at, vector = now - timedelta(hours=self.draw.choice([0, 0, 5, 100])), [self.draw.randrange(9), 0.5]
        answer = {"prediction": self.draw.random() < 0.4, "answered_at": at.isoformat(), "features": vector}
        answer |= {"degraded": degraded} if (degraded := self.draw.random() < 0.2) else {}
        write_batch(self.conn, [accepted_event(name, at=at), answered_event(name, answer=answer, at=at)], now=now)
        self.seen.setdefault(name, (at, now, None, None))
        if name not in self.answers:
            self.answers[name] = (bool(answer["prediction"]), at, now)
            if not degraded:
                self.vectors[name] = vector

    def file(self, name: str, now: datetime) -> None:
        """A transaction of a file, weeks after it happened."""
        at = now - timedelta(days=self.draw.choice([1, 40, 100]))
        outcome = self.draw.choice([None, "approved", "declined", "challenged", "explored"])
        propensity = 0.25 if outcome == "explored" else None
        rows = [(name, "u", "1.50", "m", at, at, outcome, propensity, to_micros(at))]
        if load_transactions(self.conn, NUMBERED, rows, now=now).inserted:
            self.seen[name] = (at, now, outcome, propensity)

    def label(self, name: str, now: datetime) -> None:
        """A label, perhaps dated back or ahead; a second one is often a reversal."""
        fraud, at = self.draw.random() < 0.6, now - timedelta(days=self.draw.choice([-3, 0, 0, 20, 90]))
        if self.draw.random() < 0.3 and name in self.seen:
            new = load_labels(self.conn, [(name, fraud, at, "file")], now=now).inserted
        else:
            given = [Label(transaction_id=name, is_fraud=fraud, labelled_at=at)]
            new = record_labels(self.conn, given, now=now)[0].status == "recorded"
        if new:
            self.labels.append((name, fraud, at, now))

    def outcome(self, name: str, now: datetime) -> None:
        """An outcome, perhaps dated back."""
        outcome: Any = self.draw.choice(["approved", "declined", "challenged", "explored"])
        propensity = self.draw.choice([0.01, 0.1]) if outcome == "explored" else None
        at = now - timedelta(days=self.draw.choice([0, 0, 2, 60]))
        given = OutcomeReport(transaction_id=name, outcome=outcome, propensity=propensity, decided_at=at)
        if record_outcomes(self.conn, [given], now=now)[0].status == "recorded":
            self.outcomes.append((name, outcome, propensity, at, now))

    def known(self, as_of: datetime, recorded_by: datetime, window: timedelta) -> dict[str, tuple[Any, ...]]:
        """The oracle: (is_fraud, outcome, propensity) of each transaction that was there, said plainly."""
        found = {}
        for name, (at, recorded, *fate) in self.seen.items():
            outcome, propensity = fate
            if at > as_of or recorded > recorded_by:
                continue
            flagged, given_at, noted_at = self.answers.get(name, (None, as_of, recorded_by))
            if outcome is None and flagged is not None and given_at <= as_of and noted_at <= recorded_by:
                outcome = "declined" if flagged else "approved"
            explored = outcome == "explored"
            said = [one for one in self.outcomes if one[0] == name and one[3] <= as_of and one[4] <= recorded_by]
            for _, what, chance, *_ in sorted(said, key=lambda one: one[3]):
                outcome, propensity = what, chance if what == "explored" else propensity
                explored = explored or what == "explored"
            outcome = "explored" if explored and outcome == "approved" else outcome
            told = [one for one in self.labels if one[0] == name and one[2] <= as_of and one[3] <= recorded_by]
            # Of simultaneous ones the last recorded counts: sorting keeps their order.
            fraud = sorted(told, key=lambda one: one[2])[-1][1] if told else None
            if fraud is None and outcome in ("approved", "explored") and at + window <= as_of:
                fraud = False
            found[name] = (fraud, outcome, propensity if outcome == "explored" else None)
        return found

    def logged(self, as_of: datetime, recorded_by: datetime, there: Iterable[str]) -> dict[str, list[float]]:
        """The oracle of vectors: those of answers that were given and recorded by then."""
        return {
            name: self.vectors[name]
            for name in there
            if name in self.vectors and self.answers[name][1] <= as_of and self.answers[name][2] <= recorded_by
        }


def plain(frame: pd.DataFrame) -> dict[str, tuple[Any, ...]]:
    for name in ("is_fraud", "outcome", "propensity"):
        if name not in frame:
            frame[name] = None
    rows = frame[["transaction_id", "is_fraud", "outcome", "propensity"]].astype(object)
    return {row[0]: tuple(row[1:]) for row in rows.where(rows.notna(), None).itertuples(index=False)}


def vectors(snapshot: Snapshot) -> dict[str, list[float]]:
    if "logged" not in snapshot.manifest:
        return {}
    file = LoggedFile(snapshot.path / LOGGED)
    names = snapshot.frame()["transaction_id"].to_numpy(object)[file.rows]
    values = [file.column("first", "1"), file.column("second", "2")]
    file.close()
    return {str(name): list(row) for name, *row in zip(names, *values, strict=True)}


@pytest.mark.parametrize("seed", range(4))
def test_every_past_snapshot_is_made_again_whatever_was_said_since(
    settings: Settings, engine: Engine, seed: int
) -> None:
    draw, now, made = random.Random(seed), START, []
    request = Request(source="database")
    with engine.connect() as conn:
        world = World(conn, draw)
        add_feature_set(conn, "set-1", [{"name": "first", "hash": "1"}, {"name": "second", "hash": "2"}])
        for _ in range(120):
            now += timedelta(hours=draw.choice([1, 10, 30]))
            name = f"t{draw.randrange(MANY)}"
            draw.choice([world.live, world.file, world.label, world.label, world.outcome])(name, now)
            conn.commit()
            if draw.random() < 0.1 and world.seen:
                frame = read_transactions(settings, now, recorded_by=now)
                known = world.known(now, now, settings.label_window)
                assert plain(frame) == known
                identity = make_snapshot(settings, request, now=now)
                assert vectors(load_snapshot(settings.home, identity)) == world.logged(now, now, known)
                made.append((now, identity))
    assert len({identity for _, identity in made}) == len(made) > 3
    assert any(vectors(load_snapshot(settings.home, identity)) for _, identity in made)
    for then, identity in made:
        manifest = load_snapshot(settings.home, identity).manifest
        assert manifest["as_of"] == manifest["recorded_by"] == then.isoformat()
        again = settings.model_copy(update={"home": settings.home / "elsewhere"})
        assert make_snapshot(again, Request(source="database", as_of=manifest["as_of"]), now=now) == identity
        # With what was recorded since, the same moment looks as it should have.
        assert plain(read_transactions(settings, then)) == world.known(then, now, settings.label_window)


def test_what_is_being_written_is_waited_for(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.0)
    with engine.begin() as conn:
        load_transactions(conn, COLUMNS, [("a", "u", "1.50", "m", START, START, "approved", None)], now=START)
    with engine.connect() as writer:
        record_labels(writer, [Label(transaction_id="a", is_fraud=True, labelled_at=START)], now=START)
        # It says that it was recorded by now, and nobody can see it yet.
        with pytest.raises(StoreError, match=r"writes to transactions.* labels.* that were open to end within 0 s"):
            make_snapshot(settings, Request(source="database"), now=START + DAY)
        assert plain(read_transactions(settings, START + DAY)) == {"a": (None, "approved", None)}
        writer.commit()
    identity = make_snapshot(settings, Request(source="database"), now=START + DAY)
    assert plain(load_snapshot(settings.home, identity).frame()) == {"a": (True, "approved", None)}


def test_a_history_that_was_loaded_later_counts_where_recordings_do(settings: Settings, engine: Engine) -> None:
    then, now = START + DAY, START + 100 * DAY
    with engine.begin() as conn:
        load_transactions(conn, COLUMNS, [("a", "u", "1.50", "m", START, START, "approved", None)], now=now)
    with pytest.raises(EmptyDataError, match=r"recorded by 2026-01-02 00:00:00 UTC\..*until when recordings count"):
        make_snapshot(settings, Request(source="database", as_of="2026-01-02"), now=now)
    request = Request(source="database", as_of="2026-01-02", recorded_by=now.isoformat())
    manifest = load_snapshot(settings.home, make_snapshot(settings, request, now=now)).manifest
    assert (manifest["as_of"], manifest["recorded_by"]) == (then.isoformat(), now.isoformat())


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(source="database", as_of="yesterday"), r"expected as_of to be a moment up to now .*got 'yesterday'"),
        (Request(source="database", as_of="2027-01-01"), r"expected as_of to be a moment up to now .*got '2027-01-01'"),
        (Request(source="synthetic", as_of="2026-01-01"), r"the source 'database' alone, got one for 'synthetic'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_moment_that_cannot_be_is_refused(settings: Settings, request_: Request, message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_snapshot(settings, request_, now=START)
