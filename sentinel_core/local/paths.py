"""Where things lie: the checkout, and the folders of SENTINEL_HOME."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sentinel_core.errors import LocalError
from sentinel_core.settings import Settings

FULL_DISK: Final = (errno.ENOSPC, errno.EDQUOT)


def project_root() -> Path:
    """Return the checkout that holds dags/, plugins/ and great_expectations/.

    Raises `LocalError` where the package was installed without them.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "dags").is_dir():
        raise LocalError(
            f"expected the checkout's dags/ in {root}, found none.",
            remedy="Install from a checkout: pip install --no-deps --editable .",
        )
    return root


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one SENTINEL_HOME; none is created by asking for it."""

    home: Path

    @classmethod
    def of(cls, settings: Settings) -> Layout:
        """Take the home from the settings."""
        return cls(settings.home)

    @property
    def run(self) -> Path:
        """Lock, supervisor configuration, pid and socket files; rebuilt at each start."""
        return self.home / "run"

    @property
    def logs(self) -> Path:
        """One rotated log a process."""
        return self.home / "logs"

    @property
    def state(self) -> Path:
        """Small facts that outlive a start, such as the last training."""
        return self.home / "state"

    @property
    def redis(self) -> Path:
        """The append-only file of the embedded Redis."""
        return self.home / "redis"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.home / "airflow"

    @property
    def mlflow_artifacts(self) -> Path:
        """The artifacts that the embedded MLflow serves."""
        return self.home / "mlflow" / "artifacts"

    def log(self, name: str) -> Path:
        """Return the log file of one process."""
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Create the folders that every start needs; those that may hold secrets are ours alone (mode 0700).

        Raises `LocalError` where we may not write there.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            for folder in (self.run, self.logs, self.state):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            if error.errno in FULL_DISK:
                raise
            raise LocalError(
                f"expected to write to {self.home}, and got: {error.strerror}.",
                remedy="Set SENTINEL_HOME to a folder of your own.",
            ) from error
