"""The results page is what rendering gives, every benchmark has a section, and the arithmetic of capacity adds up."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.capacity_plan import need, tables
from tests.benchmarks.figures import Figure
from tests.benchmarks.readings import READINGS
from tests.benchmarks.results import BEGIN, DOCS, END, capacity_page, read_documents, results_page

MACHINE = {
    "measured_at": "2026-06-01T12:00:00+00:00",
    "python": "3.11.7",
    "system": "Linux x86_64",
    "cores": 2,
    "load_average": [0.2, 0.2, 0.2],
}
COSTS: dict[str, Any] = {
    "cpu": {"32_clients": {"worker_ms": 0.5, "redis_ms": 0.1, "recorder_ms": 0.2, "postgres_ms": 0.2}},
    "redis": {"users_31_events_mb_per_million": 2500.0, "bytes_per_answer": 400},
    "postgres": {"mb_per_million": 2000.0, "wal_mb_per_million": 3000.0},
    "http": {"bytes_per_request": 1000},
}


def _document(name: str, figures: dict[str, Any], **machine: Any) -> dict[str, Any]:
    return {"benchmark": name, "machine": MACHINE | machine, "figures": figures}


def test_the_committed_pages_are_what_rendering_gives() -> None:
    documents = read_documents(DOCS / "results")
    remedy = "run `make results`, and commit"
    assert (DOCS / "results.md").read_text(encoding="utf-8") == results_page(documents), remedy
    capacity = (DOCS / "capacity.md").read_text(encoding="utf-8")
    assert capacity == capacity_page(capacity, documents), remedy


def test_every_benchmark_has_a_section_and_every_run_a_benchmark() -> None:
    assert set(READINGS) == set(BENCHMARKS)
    assert set(read_documents(DOCS / "results")) <= set(BENCHMARKS)
    for name, document in read_documents(DOCS / "results").items():
        assert document["benchmark"] == name
        json.dumps(document, allow_nan=False)


def test_a_section_says_where_when_and_by_which_command() -> None:
    figures = {"100000_rows": {"transactions_per_s": 400_000}, "1000000_rows": {"transactions_per_s": 512_345}}
    page = results_page({"generator": _document("generator", figures)})
    assert "`make bench ARGS=generator`: 2026-06-01, Linux x86_64, 2 cores, Python 3.11.7, load 0.2 before." in page
    assert "| 1,000,000 rows | 512,345 transactions/s |" in page
    assert "busy" not in page
    assert "- `make bench ARGS=stores`: The stores" in page


def test_a_busy_machine_is_named() -> None:
    page = results_page({"pipeline": _document("pipeline", {"seconds": 80.0}, load_average=[7.5, 1, 1])})
    assert "**The machine was busy with other work" in page


@pytest.mark.parametrize(
    ("seconds", "bar"), [(41.2, "≤ 60 s, met"), (60.0, "≤ 60 s, met"), (60.1, "≤ 60 s, **missed**")]
)
def test_a_bar_is_met_or_missed(seconds: float, bar: str) -> None:
    line = Figure("a call", "seconds", "s", at_most=60)
    assert line.cells({"seconds": seconds})[3] == bar


def test_a_figure_shows_its_whole_and_its_peer() -> None:
    line = Figure("found", "a/found", of="a/runs", peer="b", peer_is="preset")
    assert line.cells({"a": {"found": 498, "runs": 500}, "b": 0.25}) == ("found", "498 of 500", "preset: 0.25", "")


def test_a_figure_that_an_older_run_lacks_is_said_to_be_missing() -> None:
    assert Figure("new", "not/there", "s", at_most=1).cells({"there": 1})[1:] == ("not in this run", "", "≤ 1 s")


def test_the_arithmetic_of_capacity() -> None:
    # 1,000,000 a minute are 16,667 a second: 8.3 cores of workers, planned for half of their time.
    found = need(1_000_000, COSTS)
    assert (found.workers, found.instances) == (17, 5)
    assert found.redis_cores == pytest.approx(1.6667, rel=1e-3)
    # 1.44 billion users of 2,500 bytes, and 60 million answers of 400.
    assert found.redis_gb == pytest.approx(3600 + 24)
    assert found.postgres_gb_a_day == pytest.approx(2880)
    assert found.wal_mb_per_s == pytest.approx(50)
    assert need(1_000, COSTS).workers == 1


def test_the_tables_of_capacity_stand_between_their_marks_and_nothing_else_changes() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    written = capacity_page(page, {"capacity": _document("capacity", COSTS)})
    assert re.fullmatch(r"before\n<!-- .* -->\n\n.*<!-- end -->\nafter\n", written, re.S)
    assert tables(COSTS) in written
    assert "old" not in written
    assert capacity_page(written, {"capacity": _document("capacity", COSTS)}) == written
    with pytest.raises(ValueError, match="expected the lines"):
        capacity_page("no marks", {})
