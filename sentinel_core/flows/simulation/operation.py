"""The system in operation: the real steps on real stores, by a clock that the simulation turns."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine

from sentinel_core.datasets.snapshot import write_snapshot
from sentinel_core.errors import SentinelError
from sentinel_core.exploration import Exploration
from sentinel_core.features.build import PARTS, RISK
from sentinel_core.features.risk import RiskTable, served_midnight
from sentinel_core.flows import Progress
from sentinel_core.flows.alerts import check_alerts
from sentinel_core.flows.drift import check_drift
from sentinel_core.flows.history import load_history
from sentinel_core.flows.moves import move_version
from sentinel_core.flows.performance import measure_performance
from sentinel_core.flows.retrain import check_retraining, train_here
from sentinel_core.flows.risk import refresh_risk
from sentinel_core.flows.simulation.answering import record_answers, score_rows
from sentinel_core.flows.simulation.plan import Plan
from sentinel_core.flows.simulation.world import Rows, World
from sentinel_core.flows.state import read_last_training
from sentinel_core.registry.bundle import LoadedBundle, load_bundle
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.schema import Label, from_micros, to_micros
from sentinel_core.settings import Settings
from sentinel_core.stores.labels import record_labels
from sentinel_core.stores.postgres import connected
from sentinel_core.stores.redis_clients import make_client
from sentinel_core.stores.risk import load_risk

HOUR: Final = timedelta(hours=1)
DAY: Final = 24 * HOUR
ACTOR: Final = "simulation"
RISK_HOUR, PERFORMANCE_HOUR = 1, 2
"""Hours of the day (UTC) by which the daily steps have been done: at 00:30 and 01:30, as in operation."""
_KEPT: Final = 1
_MADE: Final = ("features", "candidates", "snapshots")


@dataclass
class Operation:
    """A system that answers, learns what became of it, and watches itself; `answered` tells which model said what.

    Of every check `events` keeps what is worth telling: {"at", "kind", "what", …}, in order.
    """

    settings: Settings
    engine: Engine
    world: World
    plan: Plan
    progress: Progress
    score: NDArray[np.float64] = field(init=False)
    flagged: NDArray[np.bool_] = field(init=False)
    explored: NDArray[np.bool_] = field(init=False)
    events: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    champion: LoadedBundle | None = field(default=None, init=False)
    version: str = field(default="", init=False)
    _exploration: Exploration = field(init=False)
    _through: NDArray[np.bool_] = field(init=False)
    _tables: dict[int, RiskTable] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        """Begin with nothing answered: what happened before went through."""
        n = len(self.world.time)
        self.score, self.flagged = np.full(n, np.nan), np.zeros(n, np.bool_)
        self.explored, self._through = np.zeros(n, np.bool_), self.world.time <= self.world.begin
        self._exploration = Exploration.of(self.settings)

    def go_into_operation(self, now: datetime) -> None:
        """Load the history, train the first model on it, and publish the first table of risks."""
        frame = self.world.history()
        delay = {"label_delay_days": self.settings.label_delay_days}
        terms = {"profile": "database", "floors": {}, "as_of": now.isoformat(), **delay}
        snapshot = write_snapshot(
            frame, self.settings.home, source={"kind": "history"}, terms=terms, cleaning={}, now=now
        )
        load_history(self.settings, snapshot.id, now=now, progress=self.progress)
        # The table of the day before serves until one o'clock.
        self._refresh_risk(now - DAY)
        self._refresh_risk(now)
        self._check_retraining(now)
        if self.champion is None and self.events[-1]["kind"] == "retraining":
            # Of a first model without floors the gate asks that it beats the baselines for certain; the loop needs one.
            version, reason = self.events[-1]["version"], "better this model than none"
            move_version(self.settings, version, "Production", actor=ACTOR, reason=reason, now=now)
            self._tell(now, "moved by hand", f"{version} to Production: {reason}")
            self._swap()

    def hour(self, now: datetime) -> None:
        """Live through the hour that ends at `now`, and check what is checked every hour."""
        rows = self.world.between(now - HOUR, now)
        if len(rows):
            self._answer(rows, now)
        self._hear_of_fraud(now)
        if now.hour == RISK_HOUR:
            self._refresh_risk(now)
        if now.hour == PERFORMANCE_HOUR:
            self._try(now, "performance", lambda: measure_performance(self.settings, now=now))
        self._check_drift(now)
        self._check_alerts(now)
        self._check_retraining(now)

    def vectors(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the vectors of rows with the risk that was known, and the midnights (µs) that it is of; 0 for none."""
        values = self.world.values[rows].copy()
        as_of = served_midnight(self.world.time[rows])
        for midnight in np.unique(as_of).tolist():
            table = self._tables.get(midnight)
            at = as_of == midnight
            if table is None:
                as_of[at] = 0
                continue
            events = self.world.events
            columns = table.lookup(events.merchant[rows[at]], events.country[rows[at]])
            values[at, PARTS[RISK]] = np.stack(list(columns.values()), axis=1)
        return values, as_of

    def _answer(self, rows: Rows, now: datetime) -> None:
        if self.champion is None:
            return
        frame = self.world.frame.iloc[rows]
        values, as_of = self.vectors(rows)
        answers = score_rows(self.champion, self.version, values, frame, self._exploration)
        self.score[rows], self.flagged[rows], self.explored[rows] = answers.score, answers.flagged, answers.explored
        self._through[rows] = answers.went_through
        with connected(self.engine) as conn:
            record_answers(conn, frame, values, as_of, answers, now=now)

    def _hear_of_fraud(self, now: datetime) -> None:
        """Cardholders report what they were charged for; of what was declined nobody says anything."""
        world, (since, until) = self.world, (to_micros(now - HOUR), to_micros(now))
        told = world.reported & (world.reported_at > since) & (world.reported_at <= until) & self._through
        rows = np.flatnonzero(told)
        labels = [
            Label(transaction_id=str(name), is_fraud=True, labelled_at=from_micros(int(at)), source="chargeback")
            for name, at in zip(world.frame["transaction_id"].iloc[rows], world.reported_at[rows], strict=True)
        ]
        if labels:
            with connected(self.engine) as conn:
                record_labels(conn, labels, now=now)

    def _refresh_risk(self, now: datetime) -> None:
        def refresh() -> None:
            refresh_risk(self.settings, now=now)
            client = make_client(self.settings)
            try:
                published = load_risk(client, self.settings)
            finally:
                client.close()
            if published is not None:
                self._tables[published[0]] = RiskTable.from_bytes(published[1])

        self._try(now, "risk", refresh)

    def _check_drift(self, now: datetime) -> None:
        made = self._try(now, "drift", lambda: check_drift(self.settings, now=now, evidently=False))
        if made is None:
            return
        before = self.verdicts[-1]["verdict"] if self.verdicts else None
        kept = ("model_version", "window_start", "sample_size", "verdict", "severity", "rejected", "reason")
        self.verdicts.append({"at": now.isoformat(), **{name: made[name] for name in kept}})
        if made["verdict"] == "drift" != before:
            self._tell(now, "drift", made["reason"])

    def _check_alerts(self, now: datetime) -> None:
        for one in self._try(now, "alerts", lambda: check_alerts(self.settings, now=now, send=False)) or ():
            if one["change"]:
                self._tell(now, f"alert {one['change']}", f"{one['rule']}: {one['reason']}", rule=one["rule"])

    def _check_retraining(self, now: datetime) -> None:
        def start(params: Mapping[str, Any]) -> str:
            self.progress(f"{now:%Y-%m-%d %H:%M}: training")
            train = train_here(self.settings, clock=lambda: now, active=lambda: 0)
            return train({**params, "models": list(self.plan.models), "search": False})

        made = self._try(now, "retraining", lambda: check_retraining(self.settings, now=now, active=0, start=start))
        if made is not None and made["started"]:
            trained = read_last_training(self.settings)
            what = f"{trained['version']}: {trained['verdict']['outcome']}, {trained['verdict']['reason']}"
            self._tell(now, "retraining", what, version=trained["version"], promoted=trained["promoted"])
            self._swap()
            self._tidy()

    def _swap(self) -> None:
        """Serve what is in Production."""
        with MlflowRegistry.of(self.settings) as registry:
            version = registry.production_version()
            if version is None or version.name == self.version:
                return
            folder = self.settings.home / "served" / version.name
            folder.mkdir(parents=True)
            registry.download(version, folder)
        self.champion, self.version = load_bundle(folder), version.name

    def _tidy(self) -> None:
        """Remove what trainings left on disk, all but the last one's: a simulation makes dozens of them."""
        for name in _MADE:
            made = sorted((self.settings.home / name).glob("[!.]*"), key=lambda path: path.stat().st_mtime)
            for old in made[:-_KEPT]:
                shutil.rmtree(old)

    def _try(self, now: datetime, kind: str, step: Callable[[], Any]) -> Any:
        """Do a step; one that fails says why, and the next hour's works again."""
        try:
            return step()
        except SentinelError as error:
            self._tell(now, f"{kind} failed", error.message)
            return None

    def _tell(self, now: datetime, kind: str, what: str, **facts: Any) -> None:
        self.events.append({"at": now.isoformat(), "kind": kind, "what": what, **facts})
        self.progress(f"{now:%Y-%m-%d %H:%M}: {kind}, {what}")
