"""The command line in this process, for tests: what it prints and how it ends."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from sentinel_core.cli import main
from sentinel_core.settings import Settings


class Sentinel:
    """Runs `sentinel …`; each call returns stdout, and fails the test where the command fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def use(self, settings: Settings) -> None:
        """Point the environment at the servers of these settings."""
        self._monkeypatch.setenv("SENTINEL_HOME", str(settings.home))
        self._monkeypatch.setenv("DATABASE_URL", str(settings.database_url_given))
        self._monkeypatch.setenv("REDIS_URL", str(settings.redis_url_given))
        self._monkeypatch.setenv("SENTINEL_REDIS_NAMESPACE", settings.redis_namespace)
        self._monkeypatch.setenv("SENTINEL_MODEL_NAME", settings.model_name)
        if settings.mlflow_tracking_uri_given:
            self._monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.mlflow_tracking_uri_given)

    def __call__(self, *arguments: object) -> str:
        self._capsys.readouterr()  # what the test itself printed
        self._run(arguments, 0)
        return self._capsys.readouterr().out

    def json(self, *arguments: object) -> Any:
        """Run with --json and return the document."""
        return json.loads(self(*arguments, "--json"))

    def fails(self, *arguments: object) -> str:
        """Run what must fail with one line, and return that line."""
        code = self._run(arguments)
        assert isinstance(code, str), code
        assert "\n" not in code
        return code

    def _run(self, arguments: tuple[object, ...], *expected: object) -> object:
        self._monkeypatch.setattr(sys, "argv", ["sentinel", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not expected or ended.value.code in expected, ended.value.code
        return ended.value.code
