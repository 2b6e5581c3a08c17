"""`make results`: write docs/results.md, and the tables of docs/capacity.md, from the JSON in docs/results."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sentinel_core.local.paths import project_root
from tests.benchmarks.capacity_plan import tables
from tests.benchmarks.readings import READINGS

DOCS: Final = project_root() / "docs"
BEGIN: Final = "<!-- written by `make results` from docs/results/capacity.json: begin -->"
END: Final = "<!-- end -->"
_HEAD: Final = """# Results

Each speed, size and quality that this project states, as it was measured. `make bench` writes this page from
`docs/results/*.json`, and `make bench ARGS=NAME` renews one section. `make results` writes it again without measuring.

Ratios to a peer of the same run say more than seconds: the machine is the same for both. A bar is a promise of the
project; it is met or missed on the machine that the line names.
"""


def read_documents(folder: Path) -> dict[str, dict[str, Any]]:
    """Read the published runs by the name of their benchmark."""
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))}


def results_page(documents: Mapping[str, dict[str, Any]]) -> str:
    """Return the page, Markdown: a section for each published run, then the names of what was not measured."""
    parts = [_HEAD, *(_section(name, documents[name]) for name in READINGS if name in documents)]
    missing = [f"`make bench ARGS={name}`: {READINGS[name].title}" for name in READINGS if name not in documents]
    if missing:
        parts.append("## Not measured for this page yet\n\n" + "\n".join(f"- {one}" for one in missing) + "\n")
    return "\n".join(parts)


def capacity_page(page: str, documents: Mapping[str, dict[str, Any]]) -> str:
    """Return docs/capacity.md with the tables of the published run.

    Raises `ValueError` where the page has no place for them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected the lines {BEGIN!r} and {END!r} in docs/capacity.md.")
    document = documents.get("capacity")
    block = tables(document["figures"]) if document else "Not measured yet: `make bench ARGS=capacity`.\n"
    where = f"{_machine(document['machine'])}\n\n" if document else ""
    return f"{before}{BEGIN}\n\n{where}{block}\n{END}{after}"


def write_pages(docs: Path = DOCS) -> None:
    """Write both pages from what is published."""
    documents = read_documents(docs / "results")
    (docs / "results.md").write_text(results_page(documents), encoding="utf-8")
    capacity = docs / "capacity.md"
    capacity.write_text(capacity_page(capacity.read_text(encoding="utf-8"), documents), encoding="utf-8")


def _section(name: str, document: Mapping[str, Any]) -> str:
    section = READINGS[name]
    rows = [figure.cells(document["figures"]) for figure in section.figures]
    lines = ["| | measured | beside it, same run | bar |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |".replace("  |", " |") for row in rows]
    note = f"{section.note}\n\n" if section.note else ""
    command = f"`make bench ARGS={name}`"
    return f"## {section.title}\n\n{note}{command}: {_machine(document['machine'])}\n\n" + "\n".join(lines) + "\n"


def _machine(machine: Mapping[str, Any]) -> str:
    load, cores = machine["load_average"][0], machine["cores"]
    busy = " **The machine was busy with other work: the figures are upper bounds.**" if load > cores / 2 else ""
    memory = f", {machine['memory_gb']:g} GB" if "memory_gb" in machine else ""
    commit = f", commit {machine['commit']}" if "commit" in machine else ""
    return (
        f"{machine['measured_at'][:10]}, {machine['system']}, {cores} cores{memory}, Python {machine['python']}, "
        f"load {load:.1f} before{commit}.{busy}"
    )


if __name__ == "__main__":
    write_pages()
    sys.exit(0)
