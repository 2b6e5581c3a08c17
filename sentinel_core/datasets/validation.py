"""Judging a cleaned data set by the Great Expectations suite of the project folder.

Great Expectations writes beside its configuration whatever it does; each validation therefore works in a copy of
the project under `out_dir`, which ends up holding

    report.json         what failed, on how many rows, with examples
    rejected.parquet    the rows that failed, where some did
    gx/                 the project as it was run, results and data docs under uncommitted/
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sentinel_core.errors import DataError, ValidationError

if TYPE_CHECKING:
    import pandas as pd

SUITE: Final = "transactions"
REPORT: Final = "report.json"
REJECTED: Final = "rejected.parquet"
DOCS: Final = Path("gx", "uncommitted", "data_docs", "local_site", "index.html")
EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that failed: on which columns, on how many of the rows, with the first examples.

    `rows` is None for an expectation on a whole column or table; `observed` then says what was found.
    """

    expectation: str
    columns: tuple[str, ...]
    why: str
    rows: int | None
    observed: str
    examples: tuple[str, ...]

    def line(self) -> str:
        """The failure in one sentence."""
        on = f" on {', '.join(self.columns)}" if self.columns else ""
        found = f"{self.rows:,} {'row' if self.rows == 1 else 'rows'}" if self.rows is not None else self.observed
        examples = f" ({'; '.join(self.examples)})" if self.examples else ""
        return f"{self.expectation}{on} failed for {found}{examples}: {self.why}"


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The outcome of a validation.

    `evaluated` counts the expectations that were checked, `left_out` those on columns that the data set lacks;
    `docs` is the index of the HTML data docs, `rejected` the file of the `rejected_rows` rows that failed.
    """

    success: bool
    rows: int
    evaluated: int
    left_out: int
    failures: tuple[Failure, ...]
    docs: Path
    rejected: Path | None
    rejected_rows: int

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        plain = asdict(self)
        return plain | {"docs": str(self.docs), "rejected": None if self.rejected is None else str(self.rejected)}


def validate(
    frame: pd.DataFrame,
    *,
    project_dir: Path,
    out_dir: Path,
    parameters: Mapping[str, Any],
    removed_share: float = 0.0,
    suite: str = SUITE,
) -> ValidationReport:
    """Check `frame` against the suite; write report, rejected rows and data docs under `out_dir`, whole or not at all.

    Expectations on columns that the frame lacks are left out. `parameters` fill the suite's $PARAMETERs
    ({"currencies": ["EUR"]}); `removed_share` (0 to 1) is what cleaning took away, bounded by the suite's
    meta.max_removed_share. Raises `ValidationError` with one line for each failing expectation.
    """
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".making-", dir=out_dir.parent))
    try:
        left_out, limit = _copy_project(project_dir, made / "gx", suite, list(frame.columns))
        evaluated, failures, bad_rows = _run(made / "gx", suite, frame, parameters)
        if removed_share > limit:
            failures = (_too_much_removed(removed_share, limit), *failures)
        rejected = frame.loc[frame.index.isin(bad_rows)]
        if len(rejected):
            rejected.to_parquet(made / REJECTED, index=True)
        report = ValidationReport(
            success=not failures,
            rows=len(frame),
            evaluated=evaluated,
            left_out=left_out,
            failures=failures,
            docs=out_dir / DOCS,
            rejected=out_dir / REJECTED if len(rejected) else None,
            rejected_rows=len(rejected),
        )
        (made / REPORT).write_text(json.dumps(report.to_dict(), indent=1) + "\n", encoding="utf-8")
        made.chmod(0o755)
        shutil.rmtree(out_dir, ignore_errors=True)
        made.rename(out_dir)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    if failures:
        raise _failed(report, suite)
    return report


def _copy_project(project_dir: Path, target: Path, suite: str, columns: Sequence[str]) -> tuple[int, float]:
    source = project_dir / "expectations" / f"{suite}.json"
    if not source.is_file():
        raise DataError(f"expected the suite {source}, found none.", remedy="Restore great_expectations/ from git.")
    shutil.copytree(project_dir, target, ignore=shutil.ignore_patterns("uncommitted"))
    document = json.loads(source.read_text(encoding="utf-8"))
    kept = [e for e in document["expectations"] if set(_columns(e["kwargs"])) <= set(columns)]
    left_out = len(document["expectations"]) - len(kept)
    copy = target / "expectations" / f"{suite}.json"
    copy.chmod(0o644)
    copy.write_text(json.dumps(document | {"expectations": kept}), encoding="utf-8")
    return left_out, float(document["meta"].get("max_removed_share", 1.0))


def _columns(kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs)


def _run(
    project: Path, suite: str, frame: pd.DataFrame, parameters: Mapping[str, Any]
) -> tuple[int, tuple[Failure, ...], set[int]]:
    context = _context(project)
    checkpoint = context.checkpoints.get(suite)
    outcome = checkpoint.run(batch_parameters={"dataframe": frame}, expectation_parameters=dict(parameters))
    (validated,) = outcome.run_results.values()
    failed = [result for result in validated.results if not result.success]
    bad_rows: set[int] = set()
    if failed:
        batch = checkpoint.validation_definitions[0].data.get_batch({"dataframe": frame})
        expectations = {e.id: e for e in context.suites.get(suite).expectations}
        for result in failed:
            if "unexpected_count" in result.result:
                # The summary holds a few rows only; the rejected ones are kept whole.
                complete = batch.validate(
                    expectations[result.expectation_config.id],
                    result_format={"result_format": "COMPLETE"},
                    expectation_parameters=dict(parameters),
                )
                bad_rows.update(int(row[frame.index.name]) for row in complete.result["unexpected_index_list"])
    return len(validated.results), tuple(_failure(result, frame) for result in failed), bad_rows


def _context(project: Path) -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # Its own imports of deprecated modules; nothing that we could change.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx

    return gx.get_context(mode="file", context_root_dir=str(project))


def _failure(result: Any, frame: pd.DataFrame) -> Failure:
    config, found = result.expectation_config, result.result
    columns = _columns(config.kwargs)
    examples = []
    for row in found.get("partial_unexpected_index_list", ())[:EXAMPLES]:
        number = int(row[frame.index.name])
        values = ", ".join(f"{column}={frame.at[number, column]}" for column in columns)
        examples.append(f"row {number:,}: {values}")
    if raised := _exception(result.exception_info):
        observed = f"it could not be evaluated: {raised}"
    else:
        observed = f"the observed value {found.get('observed_value')}"
    why = (config.meta or {}).get("why", "see the data docs")
    return Failure(config.type, columns, why, found.get("unexpected_count"), observed, tuple(examples))


def _exception(info: Mapping[str, Any]) -> str:
    # Flat for one exception, else keyed by the metric that raised it.
    nested = [entry for entry in info.values() if isinstance(entry, Mapping)] or [info]
    return "; ".join(str(e["exception_message"]) for e in nested if e.get("raised_exception"))


def _too_much_removed(share: float, limit: float) -> Failure:
    return Failure(
        "max_removed_share",
        (),
        f"cleaning may remove at most {limit:.0%}; its report says which rows and why",
        None,
        f"{share:.1%} of the rows",
        (),
    )


def _failed(report: ValidationReport, suite: str) -> ValidationError:
    count = f"{report.rejected_rows:,} rejected {'row is' if report.rejected_rows == 1 else 'rows are'}"
    kept = f" {count} kept in {report.rejected}." if report.rejected else ""
    return ValidationError(
        f"expected {report.rows:,} rows to satisfy the suite {suite!r}, but {len(report.failures)} of "
        f"{report.evaluated} expectations failed: {'. '.join(f.line() for f in report.failures)}.{kept}",
        remedy=f"Correct the source and load it again; details: {report.docs}",
    )
