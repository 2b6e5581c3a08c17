"""What people do to stages and aliases, exhaustively: a look agrees with it, and the next one finds nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import pytest

from sentinel_core.registry.following import Key, Plan, compare, several_in
from sentinel_core.registry.promotion import ALIAS, STAGES, Stage, Version

NUMBERS = ("1", "2", "3")
Stages = tuple[Stage, ...]


def versions(stages: Stages) -> list[Version]:
    return [Version(n, f"v{n}", stage, "run", "hash", 0) for n, stage in zip(NUMBERS, stages, strict=False)]


def record(stages: Stages) -> dict[Key, str]:
    return {(one.name, one.number): one.stage for one in versions(stages)}


def holder(stages: Stages, stage: Stage) -> str | None:
    """The version that counts in a stage: what MLflow loads and the service takes."""
    return max((n for n, at in zip(NUMBERS, stages, strict=False) if at == stage), default=None)


def at_peace(stages: Stages) -> dict[str, str]:
    """The aliases that go with stages."""
    return {alias: number for stage, alias in ALIAS.items() if (number := holder(stages, stage)) is not None}


def applied(stages: Stages, aliases: Mapping[str, str], plan: Plan) -> tuple[Stages, dict[str, str]]:
    after = tuple(plan.transitions.get(n, at) for n, at in zip(NUMBERS, stages, strict=False))
    named = {alias: number for alias, number in {**aliases, **plan.aliases}.items() if number is not None}
    return after, named


def told(plan: Plan, before: Mapping[Key, str]) -> dict[Key, str]:
    return {**before, **{(move.version.name, move.version.number): move.to_stage for move in plan.moves}}


def every_state() -> Iterator[tuple[Stages, Stages, dict[str, str]]]:
    """Yield each (recorded, present stages, aliases) of three versions."""
    for recorded, present in product(product(STAGES, repeat=3), repeat=2):
        for given in product((None, *NUMBERS), repeat=2):
            yield recorded, present, {a: n for a, n in zip(ALIAS.values(), given, strict=True) if n is not None}


@pytest.mark.slow
def test_one_look_settles_whatever_people_did() -> None:
    for recorded, present, aliases in every_state():
        plan = compare(versions(present), aliases, record(recorded))
        after, named = applied(present, aliases, plan)
        case = (recorded, present, aliases, plan)
        assert named == at_peace(after), case
        written = told(plan, record(recorded))
        assert written == record(after), case
        assert compare(versions(after), named, written) == Plan((), {}, {}), case
        # Nothing that serves is taken away without another one in its place.
        assert holder(present, "Production") is None or holder(after, "Production") is not None, case
        assert all(move.from_stage != move.to_stage and move.actor == "" for move in plan.moves), case


def test_after_a_look_that_was_killed_half_way_the_next_one_puts_the_same_into_production() -> None:
    for recorded, present, aliases in every_state():
        plan = compare(versions(present), aliases, record(recorded))
        _, wanted = applied(present, aliases, plan)
        for made in range(1, len(plan.transitions)):
            begun = dict(list(plan.transitions.items())[:made])
            half, _ = applied(present, aliases, Plan((), begun, {}))
            rest = compare(versions(half), aliases, record(recorded))
            # The same one serves; of several that shared a stage, one more may stay beside.
            champion = applied(half, aliases, rest)[1].get("champion")
            assert champion == wanted.get("champion"), (recorded, present, aliases, begun)


def test_stages_that_people_moved_stay_as_they_moved_them() -> None:
    for recorded, present in product(product(STAGES, repeat=3), repeat=2):
        plan = compare(versions(present), at_peace(recorded), record(recorded))
        assert plan.transitions == {}, (recorded, present)
        moved = {(m.version.number, m.from_stage, m.to_stage) for m in plan.moves}
        assert moved == {(n, was, now) for n, was, now in zip(NUMBERS, recorded, present, strict=True) if was != now}, (
            recorded,
            present,
        )


def test_whatever_is_given_the_champions_alias_is_alone_in_production() -> None:
    for stages, given in product(product(STAGES, repeat=3), NUMBERS):
        aliases = at_peace(stages)
        if aliases.get("champion") == given:
            continue
        plan = compare(versions(stages), {**aliases, "champion": given}, record(stages))
        after, _ = applied(stages, aliases, plan)
        there = [n for n, at in zip(NUMBERS, after, strict=True) if at == "Production"]
        assert there == [given], (stages, given, after)


def test_the_challenger_that_is_made_champion_leaves_its_alias_behind() -> None:
    # MLflow's editor adds an alias; it does not take the other one away.
    stages: Stages = ("Production", "Staging")
    plan = compare(versions(stages), {"champion": "2", "challenger": "2"}, record(stages))
    assert plan.transitions == {"1": "Archived", "2": "Production"}
    assert plan.aliases == {"challenger": None}
    assert [(m.version.name, m.from_stage, m.to_stage) for m in plan.moves] == [
        ("v2", "Staging", "Production"),
        ("v1", "Production", "Archived"),
    ]
    assert "given the alias champion" in plan.moves[0].reason


def test_champion_and_challenger_can_change_places() -> None:
    stages: Stages = ("Production", "Staging")
    plan = compare(versions(stages), {"champion": "2", "challenger": "1"}, record(stages))
    assert plan.transitions == {"1": "Staging", "2": "Production"}
    assert plan.aliases == {}


def test_the_champion_is_not_demoted_by_a_second_alias() -> None:
    stages: Stages = ("Production", "None")
    plan = compare(versions(stages), {"champion": "1", "challenger": "1"}, record(stages))
    assert plan == Plan((), {}, {"challenger": None})


def test_where_stage_and_alias_were_moved_the_stage_counts_that_the_service_followed() -> None:
    before: Stages = ("Production", "None", "None")
    plan = compare(versions(("Archived", "Production", "None")), {"champion": "3"}, record(before))
    assert plan.transitions == {}
    assert plan.aliases == {"champion": "2"}


def test_numbers_are_numbers() -> None:
    # "10" is after "9", though not as text.
    pair = [Version(n, f"v{n}", "Production", "", "", 0) for n in ("9", "10")]
    assert [one.number for one in several_in("Production", pair)] == ["10", "9"]
    plan = compare(pair, {}, {})
    assert plan.aliases == {"champion": "10"}
    assert all("v10, v9 are in Production together, and v10 counts" in move.reason for move in plan.moves)


def test_a_name_that_comes_twice_and_a_number_that_comes_again_are_told_apart() -> None:
    twins = [Version("1", "v1", "Production", "", "", 0), Version("2", "v1", "None", "", "", 0)]
    assert compare(twins, {"champion": "1"}, {("v1", "1"): "Production"}) == Plan((), {}, {})
    # Another registry counts from 1 again: the old version is gone, the new one was never moved.
    fresh = [Version("1", "v9", "None", "", "", 0)]
    (gone,) = compare(fresh, {}, {("v1", "1"): "Production", ("v2", "2"): "None"}).moves
    assert (gone.version.name, gone.from_stage, gone.to_stage) == ("v1", "Production", "None")
    assert gone.reason == "deleted in MLflow"
