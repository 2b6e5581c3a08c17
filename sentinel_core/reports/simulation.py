"""The page of a simulation: what the system noticed, what it did about it, and what its answers were worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final

from sentinel_core.reports import plots
from sentinel_core.reports.document import NONE, Block, Document, Facts, Picture, Section, Table, Text

Outcome = Mapping[str, Any]

LEVELS: Final = {
    "not_judged": "not judged",
    "not_enough_data": "not enough data",
    "no_drift": "no drift",
    "suspected": "suspected",
    "drift": "drift",
}
SERIES: Final = {"with_loop": "with the loop", "without_loop": "without it"}
MOST_EVENTS: Final = 500
_REAL: Final = (
    "Real here are the models and their trainings, the gate, the registry, PostgreSQL, the daily tables of risk, the"
    " measuring of live performance and the hourly checks of drift, alerts and retraining, and the scoring, exploration"
    " and logging of the service. Simulated are the transactions, what cardholders report, and the clock."
)
_LIMITS: Final = (
    "What is declined happens all the same in the users' histories: no customer tries again, and no attacker gives up."
    " Alerts are checked every hour, in operation every five minutes. Without the loop, the first model scores the same"
    " vectors to the end, with the risks that the loop came to know; live it would know them a little differently."
    " PR-AUC is judged by the truth over all traffic, declined or not, which only a simulation can."
)


def simulation_document(outcome: Outcome) -> Document:
    """Make the document of an outcome as `flows.simulation.outcome.describe` returns it."""
    found = outcome["pr_auc"]
    marks = _marks(outcome)
    sections = [
        Section("Outcome", (Facts(_facts(outcome), prominent=True), Text(_said(outcome)))),
        Section("What the answers were worth", tuple(_pictures(found, marks))),
        Section("Drift", (_verdicts(outcome, marks), _counts(outcome))),
        Section("What happened", (_events(outcome["events"]),)),
        Section("What is real, and what is not", (Text(_REAL), Text(_LIMITS))),
    ]
    lead = f"{outcome['days']} days in operation, {outcome['rows_a_day']:,} transactions a day: {outcome['title']}."
    return Document(f"Simulation: {outcome['scenario'].replace('_', ' ')}", lead, tuple(sections))


def _facts(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    drift = outcome["drift"]
    return (
        ("Transactions", f"{outcome['transactions']:,}"),
        ("Frauds", f"{outcome['frauds']:,}"),
        ("Declined", f"{outcome['declined']:,}"),
        ("Explored", f"{outcome['explored']:,}"),
        ("Windows judged", f"{outcome['windows']:,}"),
        ("False alarms of drift", f"{outcome['false_alarms']:,}"),
        ("Drift found after", NONE if drift["hours"] is None else f"{drift['hours']:g} h"),
        ("Alerts", f"{outcome['alerts']:,}"),
        ("Trainings", f"{outcome['retrainings']:,}"),
        ("Promoted", f"{outcome['promotions']:,}"),
        ("Seed", str(outcome["seed"])),
        ("Models", ", ".join(outcome["models"])),
    )


def _said(outcome: Outcome) -> str:
    """Say in words whether the answers came back to what they were worth."""
    found = outcome["pr_auc"]
    if found.get("former") is None:
        return "Nothing changed that the answers could have recovered from."
    said = [
        f"PR-AUC was {found['former']:.3f} before the change; {found['recovered_from']:.3f} counts as recovered. The"
        f" first labels of what changed were mature at {_moment(found['first_mature_labels_at'])}."
    ]
    for name, title in SERIES.items():
        after = found["after_the_change"][name]
        days = after["recovered_after_days"]
        came = "did not recover" if days is None else f"had recovered {days} days later"
        low, late = (_figure(after[key]) for key in ("before_labels_mature", "from_3_days_after"))
        said.append(f"The system {title} {came}: {low} until then on average, {late} from the third day after on.")
    return " ".join(said)


def _pictures(found: Mapping[str, Any], marks: Sequence[plots.Mark]) -> list[Block]:
    days = [date.fromisoformat(day) for day in found["days"]]
    titles = [("PR-AUC of all fraud", found)]
    if any(value is not None for values in found["of_the_new_pattern"].values() for value in values):
        titles.append(("PR-AUC of the new pattern", found["of_the_new_pattern"]))
    blocks: list[Block] = [_picture(title, days, series, marks) for title, series in titles]
    rows = tuple(
        (found["days"][place], *(_figure(series[name][place]) for _, series in titles for name in SERIES))
        for place in range(len(days))
    )
    header = ("Day", *(f"{title}, {how}" for title, _ in titles for how in SERIES.values()))
    return [*blocks, Table("Each day", header, rows, folded=True)]


def _picture(title: str, days: Sequence[date], series: Mapping[str, Any], marks: Sequence[plots.Mark]) -> Picture:
    drawn = []
    for name, how in SERIES.items():
        known = [(day, value) for day, value in zip(days, series[name], strict=True) if value is not None]
        drawn.append(plots.Series(how, [day for day, _ in known], [value for _, value in known], [None] * len(known)))
    return Picture(
        lambda: plots.to_svg(plots.over_time_plot(drawn, title, marks=marks)),
        f"{title} by day of the events, with the loop and without; the table of the days follows.",
        f"{title} by day of the events, judged by the truth.",
    )


def _verdicts(outcome: Outcome, marks: Sequence[plots.Mark]) -> Picture:
    order = {name: place for place, name in enumerate(LEVELS)}
    at = [datetime.fromisoformat(one["at"]) for one in outcome["verdicts"]]
    level = [order[one["verdict"]] for one in outcome["verdicts"]]
    return Picture(
        lambda: plots.to_svg(plots.levels_plot(at, level, tuple(LEVELS.values()), "Checks of drift", marks=marks)),
        "The verdict of each hourly check of drift; their numbers follow.",
        "The verdict of each hourly check.",
    )


def _counts(outcome: Outcome) -> Table:
    counts = outcome["windows_by_verdict"]
    rows = tuple((title, f"{counts.get(name, 0):,}") for name, title in LEVELS.items())
    return Table("Checks by verdict", ("Verdict", "Windows"), rows)


def _events(events: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple((_moment(one["at"]), one["kind"], one["what"]) for one in events[:MOST_EVENTS])
    caption = "Drift found, alerts, trainings, and what failed"
    if len(events) > MOST_EVENTS:
        caption += f"; the first {MOST_EVENTS} of {len(events):,}"
    return Table(caption, ("At (UTC)", "What", "Details"), rows)


def _marks(outcome: Outcome) -> list[plots.Mark]:
    marks = []
    if outcome["changed_at"]:
        marks.append(plots.Mark(datetime.fromisoformat(outcome["changed_at"]), "the world changes"))
        matured = outcome["pr_auc"].get("first_mature_labels_at")
        if matured:
            marks.append(plots.Mark(datetime.fromisoformat(matured), "first mature labels"))
    for one in outcome["events"]:
        if one["kind"] == "retraining" and one["promoted"]:
            marks.append(plots.Mark(datetime.fromisoformat(one["at"]), "new champion"))
    return marks


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}"


def _figure(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"
