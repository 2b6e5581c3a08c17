"""How a user's column names become ours: the column map, a small TOML file.

    [columns]                       # our_name = "their name"; only these are read
    user_id = "CUSTOMER_ID"

    [constants]                     # our_name = value, for a column that the file lacks
    currency = "EUR"

    [floors]                        # what a model must reach on this data before it is promoted
    roc_auc = 0.84

`labelled_at = "their name"` may stand at the top level too. A file in our own spelling needs no map.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sentinel_core.errors import ColumnError, DataError, did_you_mean
from sentinel_core.evaluation.judge import JUDGED
from sentinel_core.schema import COLUMN, Column

FLOOR_METRICS: Final = tuple(metric for metric in JUDGED if metric != "brier")
"""The metrics that a `[floors]` table may name."""
_TABLES: Final = ("columns", "constants", "floors", "labelled_at")


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Our column names to theirs, constants for what a file lacks, and the floors of its profile.

    `columns` is None for a file in our own spelling: every column of the schema that it has is read. `known` is that
    schema: of transactions, unless another kind of file is read.
    """

    columns: Mapping[str, str] | None = None
    constants: Mapping[str, str | float | bool] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, Column] = field(default_factory=lambda: COLUMN)

    @classmethod
    def load(cls, path: Path, known: Mapping[str, Column] = COLUMN) -> ColumnMap:
        """Read a map from TOML; raises `DataError` or `ColumnError` that names what is wrong and where."""
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError(f"expected a column map at {path}, found no file.", remedy="Check the path.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DataError(f"expected TOML in {path}: {error}.", remedy="See examples/handbook.toml.") from None
        return _from_document(document, str(path), known)

    def resolve(self, found: Sequence[str], where: str) -> dict[str, str]:
        """Match the map with the columns `found` in a file: our name → their name, in the schema's order.

        Raises `ColumnError` where a mapped or required column is missing; `where` names the file.
        """
        if self.columns is None:
            matched = {name: name for name in found if name in self.known and name not in self.constants}
        else:
            for ours, theirs in self.columns.items():
                if theirs not in found:
                    raise ColumnError(
                        f"expected the column {theirs!r} (our {ours}) in {where}, found {_listed(found)}."
                        f"{did_you_mean(theirs, found)}",
                        remedy="Correct [columns] in the column map.",
                    )
            matched = dict(self.columns)
        for name in (column.name for column in self.known.values() if column.required_in_data):
            if name not in matched and name not in self.constants:
                raise ColumnError(
                    f"expected the column {name!r} in {where}, found {_listed(found)}.{did_you_mean(name, found)}",
                    remedy=f'Name it in a column map: [columns] {name} = "their name" (--columns MAP.toml).',
                )
        return {name: matched[name] for name in self.known if name in matched}


def _listed(names: Sequence[str], limit: int = 12) -> str:
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown or "no columns"


def _from_document(document: Mapping[str, Any], where: str, known: Mapping[str, Column]) -> ColumnMap:
    for key in document:
        if key not in _TABLES:
            raise DataError(
                f"expected the tables {', '.join(_TABLES)} in {where}, found {key!r}.{did_you_mean(key, _TABLES)}",
                remedy="Remove or rename it.",
            )
    columns = _table(document, "columns", where)
    if "labelled_at" in document:
        columns = {**columns, "labelled_at": document["labelled_at"]}
    constants = _table(document, "constants", where)
    for name in (*columns, *constants):
        if name not in known:
            raise ColumnError(
                f"expected one of our column names in {where}, found {name!r}.{did_you_mean(name, known)}",
                remedy=f"Known names: {', '.join(known)}.",
            )
    for ours, theirs in columns.items():
        if not isinstance(theirs, str):
            raise ColumnError(f"expected [columns] {ours} in {where} to be text, got {theirs!r}.", remedy="Quote it.")
        if ours in constants:
            raise ColumnError(
                f"expected {ours} once in {where}, found it in [columns] and [constants].", remedy="Keep one of them."
            )
    return ColumnMap(columns or None, constants, _floors(_table(document, "floors", where), where), known)


def _table(document: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, dict):
        raise DataError(f"expected [{name}] in {where} to be a table, got {table!r}.", remedy=f"Write [{name}].")
    return table


def _floors(table: Mapping[str, Any], where: str) -> dict[str, float]:
    for metric, floor in table.items():
        if metric not in FLOOR_METRICS:
            raise DataError(
                f"expected a metric in [floors] of {where}, found {metric!r}.{did_you_mean(metric, FLOOR_METRICS)}",
                remedy=f"Known metrics: {', '.join(FLOOR_METRICS)}.",
            )
        if isinstance(floor, bool) or not isinstance(floor, int | float) or not 0 <= floor <= 1:
            raise DataError(
                f"expected [floors] {metric} in {where} between 0 and 1, got {floor!r}.", remedy="Write it as 0.84."
            )
    return {metric: float(floor) for metric, floor in table.items()}
