"""The Airflow plugin: from a task to what it made, `MLflow run`, `Model report` and `Data docs`.

Reports and data docs lie in SENTINEL_HOME; the plugin serves them under /sentinel, to people who are signed in to
Airflow only.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from fastapi import FastAPI

PREFIX: Final = "/sentinel"
REPORT: Final = Path("report", "report.html")
DOCS: Final = Path("gx", "uncommitted", "data_docs", "local_site")


class MlflowLink(BaseOperatorLink):
    """Opens what a task made in MLflow: the `mlflow_url` of its result, nothing where it has none."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the URL, or nothing for a task that made no run."""
        result = _result(ti_key, ti_key.task_id, ti_key.map_index)
        return str(result.get("mlflow_url", "")) if isinstance(result, dict) else ""


class ModelReportLink(BaseOperatorLink):
    """Opens the report of the model that a task is about: after the comparison, the best one's."""

    name = "Model report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the page, or nothing for a task that is about no model."""
        result = _result(ti_key, ti_key.task_id, ti_key.map_index)
        if not isinstance(result, dict):
            return ""
        run_id = result.get("run_id") or (result.get("best") or {}).get("run_id")
        return f"{PREFIX}/models/{run_id}/report.html" if run_id else ""


class DataDocsLink(BaseOperatorLink):
    """Opens the data docs of the snapshot that a run works on, whether its validation passed or failed."""

    name = "Data docs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the path of the docs, or nothing outside the validation task."""
        snapshot = _result(ti_key, "ingest") if ti_key.task_id == "validate" else None
        return f"{PREFIX}/validation/{snapshot}/index.html" if snapshot else ""


def _result(ti_key: Any, task_id: str, map_index: int = -1) -> Any:
    """Read what a task of the same run returned; None where it returned nothing (yet)."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    query = XComModel.get_many(
        run_id=ti_key.run_id,
        dag_ids=ti_key.dag_id,
        task_ids=task_id,
        map_indexes=map_index,
        key="return_value",
        limit=1,
    )
    with create_session() as session:
        row = session.scalars(query).first()
        return None if row is None else XComModel.deserialize_value(row)


@functools.cache
def make_app() -> FastAPI:
    """Build the application that serves reports and data docs; every route asks Airflow who is calling."""
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.responses import FileResponse

    from sentinel_core.reports.page import POLICY
    from sentinel_core.settings import load_settings

    app = FastAPI(dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)
    home = load_settings().home.resolve()
    candidates, validation = home / "candidates", home / "validation"

    # The pages show users' data: whatever that holds, it gets no hold of the session.
    @app.get("/models/{run_id}/report.html")
    def model_report(run_id: str) -> FileResponse:
        file = candidates / run_id / REPORT
        if file.resolve() != file or not file.is_file():
            raise HTTPException(404, "There is no report of this model; it is written at the end of its training.")
        return FileResponse(file, headers={"Content-Security-Policy": f"sandbox; {POLICY}"})

    @app.get("/validation/{snapshot}/{page:path}")
    def data_docs(snapshot: str, page: str) -> FileResponse:
        site = (validation / snapshot / DOCS).resolve()
        file = (site / page).resolve()
        if not (site.is_relative_to(validation) and file.is_relative_to(site) and file.is_file()):
            raise HTTPException(404, "There are no data docs of this name.")
        return FileResponse(file, headers={"Content-Security-Policy": "sandbox allow-scripts allow-popups"})

    return app


async def serve(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Hand a request to the application, which is built when it is first asked for: tasks load this plugin too."""
    await make_app()(scope, receive, send)


class SentinelPlugin(AirflowPlugin):
    """Registers the links and the pages."""

    name = "sentinel"
    global_operator_extra_links = [MlflowLink(), ModelReportLink(), DataDocsLink()]  # noqa: RUF012 (Airflow's own form)
    fastapi_apps = [{"app": serve, "url_prefix": PREFIX, "name": "Sentinel pages"}]  # noqa: RUF012
