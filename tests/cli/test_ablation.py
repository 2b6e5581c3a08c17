from __future__ import annotations

import json
from pathlib import Path

import pytest

from sentinel_core.features.catalog import CATALOGUE
from sentinel_core.features.proposals import PROPOSALS
from sentinel_core.features.travel import TRAVEL
from sentinel_core.flows.ablation import SINGLE
from tests.cli.command import Sentinel


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Sentinel:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path / "home"))
    return Sentinel(monkeypatch, capsys)


@pytest.mark.slow
def test_every_group_and_every_proposal_is_judged(sentinel: Sentinel, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    found = sentinel.json("ablation", "--rows", 10_000, "--seed", 3, "--seeds", 1, "--report", report)
    assert json.loads(report.read_text()) == found
    names = [finding["name"] for finding in found["findings"]]
    proposed = [one.name for one in (*PROPOSALS, *TRAVEL)]
    groups = [*dict.fromkeys(one.group for one in CATALOGUE), "categories"]
    assert names == [*groups, *SINGLE, *proposed, "all proposals", "noise"]
    assert found["rows"] == 10_000
    assert len(found["folds"]) == 3
    for finding in found["findings"]:
        assert finding["difference"] == pytest.approx(finding["with"] - finding["without"], abs=2e-5)
        assert finding["low"] <= finding["high"]


@pytest.mark.slow
def test_a_file_is_judged_by_the_names_that_are_asked_for(sentinel: Sentinel, tmp_path: Path) -> None:
    rows, columns = tmp_path / "rows.csv", tmp_path / "map.toml"
    sentinel("generate", "--rows", 3000, "--fraud-rate", 0.05, "--end", "2026-06-01T10:00:00", "--out", rows)
    needed = ("user_id", "amount", "merchant_id", "timestamp", "is_fraud")
    columns.write_text("[columns]\n" + "".join(f'{name} = "{name}"\n' for name in needed))
    names = ("risk", "amount", "is_first_at_merchant", "device_txn_count_1h")
    asked = [part for name in names for part in ("--only", name)]
    said = sentinel("ablation", rows, "--columns", columns, "--seeds", 1, *asked)
    table = {line.split()[0]: line for line in said.splitlines() if line}
    assert table["what"].split() == ["what", "kind", "without", "with", "difference", "95%", "interval", "seconds"]
    assert "group" in table["risk"]
    assert "feature" in table["amount"]
    assert "proposal" in table["is_first_at_merchant"]
    assert "constant in this data" in table["device_txn_count_1h"]
    assert "Average precision of the catalogue: 0." in said


def test_what_cannot_be_judged_is_refused(sentinel: Sentinel, tmp_path: Path) -> None:
    assert "got --columns without a file" in sentinel.fails("ablation", "--columns", "map.toml")
    assert "got both" in sentinel.fails("ablation", "rows.csv", "--rows", 1000)
    assert "found none" in sentinel.fails("ablation", "--rows", 1000, "--report", tmp_path / "nowhere" / "r.json")
    said = sentinel.fails("ablation", "--rows", 1000, "--only", "amuont")
    assert "a group, a feature or a proposal, got 'amuont'. Did you mean 'amount'?" in said
