from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.server
ROOT = Path(__file__).parents[2]
# In a process of its own: Airflow reads its configuration when it is imported.
PROBE = """
import json, sys, asyncio
from types import SimpleNamespace
from unittest import mock
import httpx
from airflow import plugins_manager

answers = {}
answers["links"] = sorted(link.name for link in plugins_manager.get_global_operator_extra_links())
apps, _ = plugins_manager.get_fastapi_plugins()
(entry,) = [a for a in apps if a["url_prefix"] == "/sentinel"]
plugin = sys.modules[type(plugins_manager.get_global_operator_extra_links()[0]).__module__]

results = {
    ("train", 0): {"mlflow_url": "http://mlflow/run", "run_id": "r0"},
    ("evaluate", -1): {"best": {"run_id": "r1"}, "table": [{"run_id": "r0"}, {"run_id": "r1"}]},
    ("package", -1): {"version": "v1", "tag": None},
    ("ingest", -1): "s1",
}
with mock.patch.object(plugin, "_result", lambda key, task, index=-1: results.get((task, index))):
    key = lambda task, index=-1: SimpleNamespace(task_id=task, map_index=index)
    mlflow, docs = plugin.MlflowLink(), plugin.DataDocsLink()
    answers["mlflow"] = [mlflow.get_link(None, ti_key=key("train", 0)), mlflow.get_link(None, ti_key=key("ingest"))]
    report, tasks = plugin.ModelReportLink(), (("train", 0), ("evaluate", -1), ("package", -1), ("ingest", -1))
    answers["reports"] = [report.get_link(None, ti_key=key(*task)) for task in (*tasks, ("promote", -1))]
    answers["docs"] = [docs.get_link(None, ti_key=key("validate")), docs.get_link(None, ti_key=key("train", 0))]

async def ask():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=entry["app"]), base_url="http://t") as client:
        path = "/validation/s1/index.html"
        pages = (path, "/models/r0/report.html")
        answers["anonymous"] = [(await client.get(page)).status_code for page in pages]
        from airflow.api_fastapi.core_api.security import get_user
        plugin.make_app().dependency_overrides[get_user] = lambda: "somebody"
        page = await client.get(path)
        answers["page"] = [page.status_code, page.text, page.headers["content-security-policy"]]
        report = await client.get("/models/r0/report.html")
        answers["report"] = [report.status_code, report.text, report.headers["content-security-policy"]]
        names = ("none", "..", "%2e%2e", "r0%2f..%2fr0", "..%2fvalidation%2fs1", "r0/report", "linked")
        answers["no_report"] = [(await client.get(f"/models/{name}/report.html")).status_code for name in names]
        outside = ("s1/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret", "s1/..%2f..%2f..%2f..%2fsecret", "..%2f/x")
        pages = ["/docs", "/validation/s1/none.html", *(f"/validation/{path}" for path in outside)]
        answers["refused"] = [(await client.get(page)).status_code for page in pages]
asyncio.run(ask())
print("RESULT", json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("home")
    site = home / "validation" / "s1" / "gx" / "uncommitted" / "data_docs" / "local_site"
    site.mkdir(parents=True)
    (site / "index.html").write_text("<p>rows</p>")
    (home / "validation" / "s1" / "secret").write_text("secret")
    for folder in (home / "candidates" / "r0" / "report", home / "validation" / "s1" / "report", home / "report"):
        folder.mkdir(parents=True)
        (folder / "report.html").write_text("<p>report</p>" if "r0" in folder.parts else "secret")
    (home / "candidates" / "linked").symlink_to(home / "validation" / "s1")
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "SENTINEL_HOME": str(home),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, check=False, cwd=home
    )
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert results, done.stdout + done.stderr
    return json.loads(results[0].removeprefix("RESULT "))


def test_airflow_finds_the_links(answers: Any) -> None:
    assert answers["links"] == ["Data docs", "MLflow run", "Model report"]


def test_a_link_leads_to_what_the_task_made_and_nowhere_else(answers: Any) -> None:
    assert answers["mlflow"] == ["http://mlflow/run", ""]
    assert answers["docs"] == ["/sentinel/validation/s1/index.html", ""]
    assert answers["reports"] == ["/sentinel/models/r0/report.html", "/sentinel/models/r1/report.html", "", "", ""]


def test_pages_are_for_people_who_are_signed_in(answers: Any) -> None:
    assert answers["anonymous"] == [401, 401]


def test_a_signed_in_person_sees_a_models_report_and_no_other_file(answers: Any) -> None:
    assert answers["report"][:2] == [200, "<p>report</p>"]
    assert answers["report"][2].startswith("sandbox; default-src 'none'")
    assert answers["no_report"] == [404] * 7


def test_a_signed_in_person_sees_the_pages_and_only_those(answers: Any) -> None:
    assert answers["page"][:2] == [200, "<p>rows</p>"]
    assert answers["page"][2].startswith("sandbox")
    assert answers["refused"] == [404] * 5
