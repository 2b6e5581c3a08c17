"""Following people: what they moved in MLflow since the last look, as a comparison of the registry with the record.

MLflow tells neither who moved a version nor when an alias was set; what it tells is where versions and aliases are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sentinel_core.registry.promotion import ALIAS, STAGES, Move, Stage, Version, versions_of
from sentinel_core.registry.rest import MlflowRegistry
from sentinel_core.settings import Settings

Key = tuple[str, str]
"""A version's name and MLflow's number: a number comes again in a new registry, a name where somebody copies tags."""

_ENTERING: Final[Mapping[Stage, int]] = {"Archived": 0, "None": 0, "Staging": 1, "Production": 2}
MOVED: Final = "moved in MLflow, or by a process that was stopped before it wrote it down"


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from one look: moves to write down, and what to change in MLflow so that all agrees.

    `transitions` is MLflow's number → stage, in the order to make them; `aliases` is alias → the number that it should
    name, None for no version.
    """

    moves: tuple[Move, ...]
    transitions: Mapping[str, Stage]
    aliases: Mapping[str, str | None]


def compare(versions: Sequence[Version], aliases: Mapping[str, str], recorded: Mapping[Key, str]) -> Plan:
    """Say what people did to `versions` and `aliases` since `recorded` (→ the stage that was written down last).

    - A stage that differs from the record was moved by hand, and the aliases follow the stages.
    - An alias that was given to another version takes it to the alias's stage, and what was there to Archived; unless
      somebody moved that version, or another one into that stage, by hand: which came last cannot be told, and the
      service has followed the stage already. No alias takes a version out of Production: `challenger` on the champion
      is taken away again.
    - Of several versions in a stage the highest number counts: the one that serves, and that MLflow loads.
    - A recorded version that is gone was deleted: it moves to None.

    The moves' actor is empty. A second look at what the plan leads to finds nothing.
    """
    newest_first = sorted(versions, key=lambda version: int(version.number), reverse=True)
    before = {one.number: _stage(recorded.get((one.name, one.number), "None")) for one in newest_first}
    after = {one.number: one.stage for one in newest_first}
    why = {number: MOVED for number, stage in after.items() if stage != before[number]}
    by_hand = frozenset(why)
    for stage, alias in ALIAS.items():
        given = aliases.get(alias)
        if given in after and _was_given(given, stage, before, after, by_hand):
            for number in [number for number, present in after.items() if present == stage and number != given]:
                after[number], why[number] = "Archived", f"lost the alias {alias} in MLflow"
            if after[given] != stage:
                after[given], why[given] = stage, f"was given the alias {alias} in MLflow"
    moves = [
        Move(
            one, "observed", before[one.number], after[one.number], "", why[one.number] + _others(one, after, versions)
        )
        for one in newest_first
        if after[one.number] != before[one.number]
    ]
    named = {alias: _counting(after, stage) for stage, alias in ALIAS.items()}
    return Plan(
        (*moves, *_deleted(newest_first, recorded)),
        # Who leaves goes first: whoever came in first would look like a stage moved by hand, beside the old one.
        {
            one.number: after[one.number]
            for one in sorted(newest_first, key=lambda one: _ENTERING[after[one.number]])
            if after[one.number] != one.stage
        },
        {alias: number for alias, number in named.items() if aliases.get(alias) != number},
    )


def follow(settings: Settings, recorded: Mapping[Key, str]) -> tuple[Move, ...]:
    """Look at the registry, bring its stages and aliases together, and return what nobody has written down yet.

    Raises `RegistryError` where MLflow is away.
    """
    with MlflowRegistry.of(settings) as registry:
        plan = compare(versions_of(registry), registry.aliases(), recorded)
        for number, stage in plan.transitions.items():  # stopped between them, the next look goes on
            registry.transition(number, stage)
        for alias, named in plan.aliases.items():
            if named is None:
                registry.delete_alias(alias)
            else:
                registry.set_alias(alias, named)
    return plan.moves


def several_in(stage: Stage, versions: Sequence[Version]) -> list[Version]:
    """Return the versions that share a stage, the one that counts first; none where it has one at most."""
    there = sorted((one for one in versions if one.stage == stage), key=lambda one: int(one.number), reverse=True)
    return there if len(there) > 1 else []


def _was_given(
    given: str, stage: Stage, before: Mapping[str, Stage], after: Mapping[str, Stage], by_hand: frozenset[str]
) -> bool:
    if given in (_counting(after, stage), _counting(before, stage)) or given in by_hand:
        return False
    if any(after[number] == stage for number in by_hand):
        return False
    return stage == "Production" or after[given] != "Production"


def _counting(stages: Mapping[str, Stage], stage: Stage) -> str | None:
    return max((number for number, present in stages.items() if present == stage), key=int, default=None)


def _others(version: Version, after: Mapping[str, Stage], versions: Sequence[Version]) -> str:
    stage = after[version.number]
    names = {one.number: one.name for one in versions}
    there = sorted((number for number, present in after.items() if present == stage), key=int, reverse=True)
    if stage not in ALIAS or len(there) == 1:
        return ""
    together = ", ".join(names[number] for number in there)
    return f"; {together} are in {stage} together, and {names[there[0]]} counts"


def _deleted(versions: Sequence[Version], recorded: Mapping[Key, str]) -> list[Move]:
    known = {(one.name, one.number) for one in versions}
    gone = [key for key, stage in recorded.items() if key not in known and stage != "None"]
    return [
        Move(
            Version(number, name, "None", "", "", 0),
            "observed",
            _stage(recorded[name, number]),
            "None",
            "",
            "deleted in MLflow",
        )
        for name, number in gone
    ]


def _stage(text: str) -> Stage:
    return next((stage for stage in STAGES if stage == text), "None")
