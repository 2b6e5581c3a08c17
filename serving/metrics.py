"""Prometheus metrics of the service, summed over its workers.

BentoML's server names a directory in PROMETHEUS_MULTIPROC_DIR and empties it at each start; every worker keeps its
figures in files there (prometheus_client's multiprocess mode), and any worker can answer for all. Counters of
a worker that died stay in the sum, so they never run backwards while the service is up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from sentinel_core.stores.spool import SpoolSize

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
LATENCY_BUCKETS: Final = (
    0.0005,
    0.001,
    0.0015,
    0.002,
    0.003,
    0.005,
    0.0075,
    0.01,
    0.015,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    5,
)
"""Upper bounds in seconds, close together where the answers are."""
BATCH_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters and histograms of one worker; make one a process, at start-up."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "sentinel_requests",
            "Answers by route, method and status",
            ["route", "method", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "sentinel_request_seconds",
            "Time from the first byte of a request to the last of its answer",
            ["route"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "sentinel_batch_size", "Transactions in one micro-batch", buckets=BATCH_BUCKETS, registry=self.registry
        )
        self.predictions = Counter(
            "sentinel_predictions",
            "Transactions scored, by model and decision",
            ["model_version", "prediction"],
            registry=self.registry,
        )
        self.explored = Counter(
            "sentinel_explored",
            "Transactions that the model declined and that were let through at random",
            ["model_version"],
            registry=self.registry,
        )
        self.cache_hits = Counter(
            "sentinel_cache_hits", "Transactions answered from a stored answer", registry=self.registry
        )
        self.degraded = Counter(
            "sentinel_degraded_predictions", "Transactions scored without histories", registry=self.registry
        )
        self.spooled = Counter(
            "sentinel_spooled_answers", "Answers that went to disk instead of Redis", registry=self.registry
        )
        self.late = Counter(
            "sentinel_late_transactions", "Transactions too old for their user's history", registry=self.registry
        )
        self.store_errors = Counter(
            "sentinel_store_errors", "Calls that a store did not answer", ["store"], registry=self.registry
        )
        self.refused = Counter(
            "sentinel_refused_requests",
            "Requests that were turned away, by reason: key, rate, busy (requests under way), queue (transactions)",
            ["reason"],
            registry=self.registry,
        )
        self.reasons = Counter(
            "sentinel_reasons",
            "Scores whose reasons were asked for, by outcome: given, or why not",
            ["outcome"],
            registry=self.registry,
        )
        self.refused_bundles = Counter(
            "sentinel_refused_bundles", "Bundles that were not taken into service", registry=self.registry
        )

    def render(self, now: Now) -> bytes:
        """Write the exposition text of all workers, with the figures that only this moment knows."""
        registry = CollectorRegistry()
        registry.register(now)
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
            return generate_latest(registry)
        return generate_latest(registry) + generate_latest(self.registry)


@dataclass(frozen=True, slots=True, eq=False)
class Now(Collector):
    """What is read at the moment of a scrape: the model in service and what waits in the streams.

    `stream_lag` is the number of entries that are not in PostgreSQL yet, or None where Redis is away; `spool` is what
    waits on this machine's disk for Redis; `histories` what the store counted since the beginning: events too late,
    records beyond a cap, foreign histories set aside.
    """

    model_version: str | None
    stream_lag: int | None
    up: dict[str, bool]
    spool: SpoolSize
    histories: Mapping[str, int] = field(default_factory=dict)

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        return self._families()

    def _families(self) -> Iterator[Metric]:
        model = GaugeMetricFamily("sentinel_model_info", "The model in service; always 1", labels=["version"])
        if self.model_version is not None:
            model.add_metric([self.model_version], 1)
        yield model
        if self.stream_lag is not None:
            yield GaugeMetricFamily(
                "sentinel_stream_entries", "Entries of the streams not yet in PostgreSQL", value=self.stream_lag
            )
        yield GaugeMetricFamily("sentinel_spool_bytes", "Bytes on disk that wait for Redis", value=self.spool.bytes)
        yield GaugeMetricFamily("sentinel_spool_files", "Files on disk that wait for Redis", value=self.spool.files)
        counted = CounterMetricFamily(
            "sentinel_history_events", "What histories did not take or keep, by reason", labels=["reason"]
        )
        for reason, count in sorted(self.histories.items()):
            counted.add_metric([reason], count)
        yield counted
        reachable = GaugeMetricFamily("sentinel_dependency_up", "1 where the dependency answers", labels=["dependency"])
        for name, answers in sorted(self.up.items()):
            reachable.add_metric([name], float(answers))
        yield reachable
