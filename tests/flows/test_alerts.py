"""The check of alerts as a whole: real tables, a real webhook and mail server, and a clock that is turned by hand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from sentinel_core.errors import DataError, SettingsError, StoreError
from sentinel_core.flows import notifications
from sentinel_core.flows.alerts import acknowledge_alert, check_alerts, load_rules, open_alerts, recent_alerts
from sentinel_core.local.paths import project_root
from sentinel_core.monitoring.default_rules import default_rules
from sentinel_core.notify import sending
from sentinel_core.settings import Settings
from sentinel_core.stores.alerts import Alert, list_alerts, record_alert
from sentinel_core.stores.postgres import connected
from tests.notify.servers import TOKEN, Mailbox, Webhook, mailbox, webhook
from tests.stores.makers import NOW
from tests.stores.test_alert_metrics import add_drift, add_hour

HOUR = timedelta(hours=1)
STEP = timedelta(minutes=5)
RULES = """
[[rules]]
name = "many_alerts"
metric = "fraud_rate"
comparison = ">"
threshold = 0.5
window = "1h"
severity = "critical"
fires_after = 2
resolves_after = 2

[[rules]]
name = "drift"
metric = "drift"
comparison = ">="
threshold = 1
window = "3h"
severity = "high"
fires_after = 1
resolves_after = 2
"""


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "FIRST_WAIT_SECONDS", 0.0)


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as running:
        yield running


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as running:
        yield running


@pytest.fixture
def ruled(settings: Settings, tmp_path: Path) -> Settings:
    path = tmp_path / "alerts.toml"
    path.write_text(RULES)
    return settings.model_copy(update={"alert_rules": path})


@pytest.fixture
def told(ruled: Settings, hook: Webhook) -> Settings:
    return ruled.model_copy(update={"notify_urls": hook.url})


def flood(engine: Engine, at: datetime, share: float, predictions: int = 1000) -> None:
    """Say what the hour of a time holds, in place of what it held."""
    hour = at.replace(minute=0)
    with connected(engine) as conn:
        conn.execute(text("DELETE FROM prediction_hours WHERE hour = :hour"), {"hour": hour})
        add_hour(conn, hour, predictions, int(predictions * share))


def changes(found: list[dict[str, Any]]) -> dict[str, str]:
    return {one["rule"]: one["change"] for one in found if one["change"]}


def rows(engine: Engine) -> list[tuple[str, str]]:
    with connected(engine) as conn:
        return [(row["rule"], row["state"]) for row in reversed(list_alerts(conn))]


def ledger(engine: Engine) -> list[tuple[str, str, int, str]]:
    with connected(engine) as conn:
        found = conn.execute(text("SELECT channel, state, attempts, reason FROM notifications ORDER BY id"))
        return [tuple(row) for row in found]


def test_one_message_when_it_begins_and_one_when_it_ends(told: Settings, engine: Engine, hook: Webhook) -> None:
    said = []
    for step in range(30):
        at = NOW + step * STEP
        flood(engine, at, 0.9 if 2 <= step < 12 else 0.01)
        for hour in (at - HOUR, at - 2 * HOUR):
            flood(engine, hour, 0.01, predictions=1)
        said.append(changes(check_alerts(told, now=at)))
    assert [(step, change) for step, change in enumerate(said) if change] == [
        (3, {"many_alerts": "firing"}),
        (13, {"many_alerts": "resolved"}),
    ]
    assert rows(engine) == [("many_alerts", "firing"), ("many_alerts", "resolved")]
    assert hook.titles() == ["[critical] many_alerts is firing", "Resolved: many_alerts"]
    assert "Share of answers that are alerts (fraud_rate): 89.91% (1,001 predictions)" in hook.got[0]["message"]
    assert "Since: 2026-03-01 12:10 UTC" in hook.got[0]["message"]
    assert "From 2026-03-01 12:10 UTC to 2026-03-01 13:05 UTC, 55 min" in hook.got[1]["message"]
    assert [entry[:3] for entry in ledger(engine)] == [("json-1", "sent", 1)] * 2
    with connected(engine) as conn:
        assert [row["created_at"] for row in reversed(list_alerts(conn))] == [NOW + 3 * STEP, NOW + 13 * STEP]


def test_every_rule_says_where_it_is(ruled: Settings, engine: Engine) -> None:
    said: list[str] = []
    found = {one["rule"]: one for one in check_alerts(ruled, now=NOW, progress=said.append)}
    assert {name: one["state"] for name, one in found.items()} == {"many_alerts": "not_judged", "drift": "not_judged"}
    assert found["drift"]["reason"] == "not judged: drift was never checked"
    assert said == [
        "many_alerts: not_judged, not judged: there was no traffic",
        "drift: not_judged, not judged: drift was never checked",
    ]
    flood(engine, NOW, 0.9)
    states = [check_alerts(ruled, now=NOW + n * STEP)[0]["state"] for n in (1, 2, 3)]
    assert states == ["pending", "firing", "firing"]
    flood(engine, NOW, 0.9, predictions=99)
    late = check_alerts(ruled, now=NOW + 4 * STEP)[0]
    assert (late["state"], late["change"]) == ("firing", None)
    assert late["reason"] == "not judged: 99 predictions, expected at least 100"


def test_a_verdict_counts_once_however_often_it_is_read(ruled: Settings, engine: Engine) -> None:
    with connected(engine) as conn:
        add_drift(conn, "drift", NOW - 2 * STEP)
    assert changes(check_alerts(ruled, now=NOW)) == {"drift": "firing"}
    with connected(engine) as conn:
        add_drift(conn, "no_drift", NOW + STEP)
    assert [changes(check_alerts(ruled, now=NOW + n * STEP)) for n in range(2, 8)] == [{}] * 6
    with connected(engine) as conn:
        add_drift(conn, "not_enough_data", NOW + 8 * STEP)
        add_drift(conn, "no_drift", NOW + 9 * STEP)
    assert changes(check_alerts(ruled, now=NOW + 10 * STEP)) == {"drift": "resolved"}


def test_a_rule_on_drift_fires_on_the_verdict_that_it_names(
    told: Settings, engine: Engine, hook: Webhook, tmp_path: Path
) -> None:
    rules = "".join(
        f'[[rules]]\nname = "{metric}"\nmetric = "{metric}"\ncomparison = ">="\nthreshold = 1\nwindow = "3h"\n'
        'severity = "high"\nfires_after = 1\nresolves_after = 1\n'
        for metric in ("drift", "drift_evidently")
    )
    (tmp_path / "both.toml").write_text(rules)
    both = told.model_copy(update={"alert_rules": tmp_path / "both.toml"})
    said = []
    for ours, theirs in (("no_drift", "drift"), ("drift", "no_drift"), ("drift", None), ("no_drift", "no_drift")):
        at = NOW + len(said) * HOUR
        with connected(engine) as conn:
            add_drift(conn, ours, at, evidently_verdict=theirs, evidently_reason="9 of 61 columns drift")
        said.append(changes(check_alerts(both, now=at)))
    assert said == [
        {"drift_evidently": "firing"},
        {"drift": "firing", "drift_evidently": "resolved"},
        {},
        {"drift": "resolved"},
    ]
    assert "(drift_evidently): drift" in hook.got[0]["message"]
    assert "says drift in 9% of windows without drift" in hook.got[0]["message"]
    assert "Evidently" not in next(one["message"] for one in hook.got if one["title"] == "[high] drift is firing")


def test_what_a_channel_did_not_take_is_sent_by_the_next_check(told: Settings, engine: Engine, hook: Webhook) -> None:
    flood(engine, NOW, 0.9)
    check_alerts(told, now=NOW)
    hook.always = 500
    assert changes(check_alerts(told, now=NOW + STEP)) == {"many_alerts": "firing"}
    assert check_alerts(told, now=NOW + 2 * STEP)[0]["state"] == "firing"
    assert (hook.got, hook.tried) == ([], 2 * sending.ATTEMPTS)
    hook.always = 200
    check_alerts(told, now=NOW + 3 * STEP)
    check_alerts(told, now=NOW + 4 * STEP)
    assert hook.titles() == ["[critical] many_alerts is firing"]
    refused = ("json-1", "failed", 3, "refused with status 500")
    assert ledger(engine) == [refused, refused, ("json-1", "sent", 1, "taken")]


def test_trying_again_ends_after_a_day(told: Settings, engine: Engine, hook: Webhook) -> None:
    flood(engine, NOW, 0.9)
    hook.always = 500
    for at in (NOW, NOW + STEP, NOW + STEP + notifications.REACH):
        check_alerts(told, now=at)
    assert len(ledger(engine)) == 1


def test_a_broken_channel_breaks_neither_the_check_nor_the_others(
    ruled: Settings, engine: Engine, hook: Webhook, box: Mailbox
) -> None:
    urls = f"nosuchthing://{TOKEN} {hook.url} json://127.0.0.1:1/{TOKEN} {box.url}"
    given = ruled.model_copy(update={"notify_urls": urls})
    flood(engine, NOW, 0.9)
    with connected(engine) as conn:
        add_drift(conn, "drift", NOW)
    for step in range(2):
        check_alerts(given, now=NOW + step * STEP)
    assert sorted(hook.titles()) == ["[critical] many_alerts is firing", "[high] drift is firing"]
    assert len(box.got) == 2
    states = {(channel, state) for channel, state, _, _ in ledger(engine)}
    assert states == {("nosuchthing-1", "failed"), ("json-2", "sent"), ("json-3", "failed"), ("mailto-4", "sent")}


def test_an_end_is_not_said_before_its_beginning(told: Settings, engine: Engine, hook: Webhook) -> None:
    flood(engine, NOW, 0.9)
    hook.always = 500
    for step in range(6):
        flood(engine, NOW, 0.9 if step < 2 else 0.1)
        check_alerts(told, now=NOW + step * STEP)
    assert rows(engine) == [("many_alerts", "firing"), ("many_alerts", "resolved")]
    hook.statuses, hook.always = [200, 500, 500, 500], 200
    check_alerts(told, now=NOW + 6 * STEP)
    check_alerts(told, now=NOW + 7 * STEP)
    assert hook.titles() == ["[critical] many_alerts is firing", "Resolved: many_alerts"]


def test_a_message_that_no_channel_takes_does_not_hold_up_the_rest(
    told: Settings, engine: Engine, hook: Webhook
) -> None:
    flood(engine, NOW, 0.9)
    check_alerts(told, now=NOW)
    with connected(engine) as conn:
        add_drift(conn, "drift", NOW)
    hook.statuses = [400, 400, 400]
    check_alerts(told, now=NOW + STEP)
    assert hook.titles() == ["[high] drift is firing"]


def test_two_checks_at_once_fire_and_send_once(told: Settings, engine: Engine, hook: Webhook) -> None:
    flood(engine, NOW, 0.9)
    check_alerts(told, now=NOW)
    together = threading.Barrier(4)

    def check(_: int) -> dict[str, str]:
        together.wait(30)
        return changes(check_alerts(told, now=NOW + STEP))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(check, range(4)))
    assert sorted(found, key=len) == [{}, {}, {}, {"many_alerts": "firing"}]
    assert rows(engine) == [("many_alerts", "firing")]
    assert len(hook.got) == 1


def test_one_that_was_killed_while_counting_goes_on(ruled: Settings, engine: Engine) -> None:
    flood(engine, NOW, 0.9)
    check_alerts(ruled, now=NOW)
    (ruled.home / "state" / "alerts.json").write_text("{half")
    assert changes(check_alerts(ruled, now=NOW + STEP)) == {}
    assert changes(check_alerts(ruled, now=NOW + 2 * STEP)) == {"many_alerts": "firing"}
    (ruled.home / "state" / "alerts.json").unlink()
    found = check_alerts(ruled, now=NOW + 3 * STEP)[0]
    assert (found["state"], found["change"]) == ("firing", None), "the table knows that it fires"


def test_what_others_recorded_is_sent_too(told: Settings, engine: Engine, hook: Webhook) -> None:
    with connected(engine) as conn:
        record_alert(
            conn,
            Alert(
                rule="champion_and_challenger_below_floors",
                severity="high",
                state="firing",
                metric="floors",
                actor="fraud_training",
                reason="v2 and v1 both miss the floors",
                created_at=NOW,
            ),
        )
    for step in range(3):
        check_alerts(told, now=NOW + step * STEP)
    assert hook.titles() == ["[high] champion_and_challenger_below_floors is firing"]
    assert hook.got[0]["message"].startswith("v2 and v1 both miss the floors\n")
    assert [one["rule"] for one in open_alerts(told)] == ["champion_and_challenger_below_floors"]


def test_an_acknowledged_alert_still_ends_with_a_message(told: Settings, engine: Engine, hook: Webhook) -> None:
    flood(engine, NOW, 0.9)
    for step in range(2):
        check_alerts(told, now=NOW + step * STEP)
    (incident,) = open_alerts(told)
    noted = acknowledge_alert(told, incident["id"], actor="ann", reason="looking", now=NOW + 2 * STEP)
    assert noted["state"] == "acknowledged"
    assert acknowledge_alert(told, incident["id"], actor="bob", reason="me too", now=NOW + 3 * STEP) == noted
    assert check_alerts(told, now=NOW + 3 * STEP)[0]["state"] == "firing"
    flood(engine, NOW, 0.1)
    for step in (4, 5):
        check_alerts(told, now=NOW + step * STEP)
    assert hook.titles() == ["[critical] many_alerts is firing", "Resolved: many_alerts"]
    (ended,) = recent_alerts(told)
    assert (ended["state"], ended["acknowledged_by"], ended["resolved_at"]) == ("resolved", "ann", NOW + 5 * STEP)
    assert open_alerts(told) == []
    with pytest.raises(DataError, match=r"expected the number of an alert, got 4711\. See sentinel alerts"):
        acknowledge_alert(told, 4711, actor="ann", reason="what?", now=NOW)


def test_a_rule_that_is_gone_ends_what_it_began(told: Settings, engine: Engine, hook: Webhook) -> None:
    flood(engine, NOW, 0.9)
    for step in range(2):
        check_alerts(told, now=NOW + step * STEP)
    assert told.alert_rules is not None
    told.alert_rules.write_text("")
    assert changes(check_alerts(told, now=NOW + 2 * STEP)) == {"many_alerts": "resolved"}
    assert check_alerts(told, now=NOW + 3 * STEP) == []
    assert "the rule is no longer configured" in hook.got[-1]["message"]


def test_it_can_be_asked_not_to_send(told: Settings, engine: Engine, hook: Webhook) -> None:
    flood(engine, NOW, 0.9)
    for step in range(2):
        check_alerts(told, now=NOW + step * STEP, send=False)
    assert (rows(engine), hook.tried, ledger(engine)) == ([("many_alerts", "firing")], 0, [])


def test_no_secret_is_in_tables_progress_or_logs(
    ruled: Settings, engine: Engine, caplog: pytest.LogCaptureFixture, hook: Webhook
) -> None:
    urls = f"{hook.url} nosuchthing://{TOKEN} json://127.0.0.1:1/{TOKEN}"
    given = ruled.model_copy(update={"notify_urls": urls})
    said: list[str] = []
    with connected(engine) as conn:
        add_drift(conn, "drift", NOW)
    with caplog.at_level(logging.DEBUG, logger="sentinel_core"):
        check_alerts(given, now=NOW, progress=said.append)
    assert len(said) == 5
    ours = " ".join(record.getMessage() for record in caplog.records if record.name.startswith("sentinel_core"))
    assert "drift: firing" in ours
    assert TOKEN not in " ".join([*said, ours, repr(given), repr(ledger(engine))])


def test_without_postgresql_it_says_so_and_the_next_one_judges(ruled: Settings, engine: Engine) -> None:
    away = ruled.model_copy(update={"database_url_given": "postgresql://u:p@127.0.0.1:1/x"})
    names = ", ".join(rule.name for rule in load_rules(ruled))
    said = rf"expected PostgreSQL at .*; so the rules {names} could not be judged, and they stay as they were\."
    with pytest.raises(StoreError, match=said):
        check_alerts(away, now=NOW)
    flood(engine, NOW, 0.9)
    assert check_alerts(ruled, now=NOW)[0]["state"] == "pending"


def test_rules_come_from_the_file_that_is_named(settings: Settings, tmp_path: Path) -> None:
    assert load_rules(settings) == default_rules()
    path = tmp_path / "rules.toml"
    given = settings.model_copy(update={"alert_rules": path})
    with pytest.raises(SettingsError, match=r"expected alert rules at .*rules\.toml, and got: No such file"):
        load_rules(given)
    path.write_text("[[rules]\n")
    with pytest.raises(SettingsError, match=r"expected TOML in .*rules\.toml: .* See examples/alerts\.toml"):
        check_alerts(given, now=NOW)
    path.write_text(RULES.replace('"fraud_rate"', '"fraud_rat"'))
    with pytest.raises(SettingsError, match=r"rule 'many_alerts': fraud_rate .*Did you mean 'fraud_rate'\?"):
        check_alerts(given, now=NOW)


@pytest.mark.parametrize("name", ["default", "example"])
def test_the_defaults_and_the_example_run(settings: Settings, engine: Engine, name: str) -> None:
    example = project_root() / "examples" / "alerts.toml"
    given = settings if name == "default" else settings.model_copy(update={"alert_rules": example})
    assert {one["state"] for one in check_alerts(given, now=NOW)} <= {"not_judged", "ok"}
    flood(engine, NOW, 0.9)
    with connected(engine) as conn:
        add_drift(conn, "drift", NOW)
    found: dict[str, str] = {}
    for step in range(1, 3):
        found |= changes(check_alerts(given, now=NOW + step * STEP))
    assert found == {"fraud_rate": "firing", "drift": "firing"}
