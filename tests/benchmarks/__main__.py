"""`make bench`: run the benchmarks, publish what they measured in docs/results, and write the results page.

make bench                              # all of them
make bench ARGS="generator"             # those that are named; their sections of the page alone are renewed
make bench ARGS="generator --scratch"   # into .bench alone: the page stays as it is
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from tests.benchmarks.machine import machine
from tests.benchmarks.results import DOCS, write_pages

BENCHMARKS = {
    "generator": "transactions a second, data frame included",
    "features": "rows a second of the offline build; microseconds of the online one",
    "scan": "sentinel features on 1 and 5 million rows: whole, in partitions, on Spark; seconds and memory",
    "stores": "histories into Redis, and the recorder's writes into PostgreSQL",
    "windows": "the Handbook's windows over its whole file, against pandas",
    "quality": "the three models on 100,000 generated rows: time, metrics, floors, the oracle beside them",
    "handbook": "the public benchmark by its own protocol, beside the published results",
    "gate": "how often the gate promotes challengers that are equal, .03 worse and .03 better",
    "drift": "alarms without drift, what is found of changes, Evidently's preset beside it; a check's time and memory",
    "serving": "the service beside a BentoML service that does nothing, a plain one, and MLflow's server",
    "endurance": "latency from 100 to a million known users, memory of a worker over a million transactions",
    "swap": "from a stage transition, and from `sentinel rollback`, to the model in every worker, under load",
    "pipeline": "TrainingPipeline as a Python call, without a server, on 100,000 rows",
    "capacity": "CPU, Redis, PostgreSQL and network for each request; what docs/capacity.md computes from",
    "steady500": "Locust's profile steady500 against the whole stack",
    "stack": "from a clone to the first prediction, the second start, memory at rest, disk, latency of the service",
}
FOLDER = Path(".bench")
PUBLISHED = DOCS / "results"


def main() -> int:
    """Run what the command line names, all without a name."""
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, and write docs/results.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}")
    parser.add_argument("--scratch", action="store_true", help="do not publish: docs/results stays as it is")
    given = parser.parse_args()
    names = given.names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"expected names of {', '.join(BENCHMARKS)}, got {', '.join(unknown)}")
    for folder in (FOLDER, PUBLISHED):
        folder.mkdir(exist_ok=True)
    for name in names:
        print(f"{name}: {BENCHMARKS[name]} …", file=sys.stderr, flush=True)
        before = machine()
        figures = importlib.import_module(f"tests.benchmarks.{name}").run()
        document = {"benchmark": name, "machine": before, "figures": figures}
        text = json.dumps(document, indent=2)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        if not given.scratch and "skipped" not in figures:
            (PUBLISHED / f"{name}.json").write_text(text + "\n", encoding="utf-8")
            write_pages()
        print(text, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
