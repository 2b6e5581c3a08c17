"""The settings of a deployment: one frozen value, read once from the environment and .env.

An explicit DATABASE_URL (or DB_HOST), REDIS_URL (or REDIS_HOST) or MLFLOW_TRACKING_URI names a
server that somebody else runs. Where none is named, `sentinel up` runs an embedded one whose
generated password lies in SENTINEL_HOME/secrets.json (mode 0600, see `sentinel_core.local.secrets`).
"""

from __future__ import annotations

import ipaddress
import json
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from pydantic import AliasChoices, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from sentinel_core.errors import SettingsError

SECRETS_FILE: Final = "secrets.json"
PolicyName = Literal["auto", "best_f1", "floor_margin", "alert_budget", "lowest_cost"]


def _named(name: str) -> Any:
    return AliasChoices(name, name.lower())


class Settings(BaseSettings):
    """Every setting, with its default; names without SENTINEL_ are those that other tools use too.

    Durations end in their unit. Build one with `load_settings`, pass it on, never read the
    environment elsewhere.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_prefix="SENTINEL_", env_file=".env", extra="ignore", populate_by_name=True
    )

    home: Path = Path(".sentinel")
    database_url_given: str | None = Field(None, validation_alias=_named("DATABASE_URL"))
    db_host: str | None = Field(None, validation_alias=_named("DB_HOST"))
    db_port: int = Field(5432, validation_alias=_named("DB_PORT"), ge=1, le=65535)
    db_name: str = Field("sentinel_ml", validation_alias=_named("DB_NAME"))
    db_user: str = Field("sentinel", validation_alias=_named("DB_USER"))
    db_password: str | None = Field(None, validation_alias=_named("DB_PASSWORD"), repr=False)
    redis_url_given: str | None = Field(None, validation_alias=_named("REDIS_URL"), repr=False)
    redis_host: str | None = Field(None, validation_alias=_named("REDIS_HOST"))
    redis_port: int = Field(6379, validation_alias=_named("REDIS_PORT"), ge=1, le=65535)
    redis_password_given: str | None = Field(None, validation_alias=_named("REDIS_PASSWORD"), repr=False)
    mlflow_tracking_uri_given: str | None = Field(None, validation_alias=_named("MLFLOW_TRACKING_URI"))
    airflow_password: str | None = Field(None, repr=False)
    airflow_jwt_secret: str | None = Field(None, repr=False)
    airflow_secret_key: str | None = Field(None, repr=False)
    airflow_fernet_key: str | None = Field(None, repr=False)
    explore_key: str | None = Field(None, repr=False)
    api_key: str | None = Field(None, repr=False)
    api_workers: int = Field(0, validation_alias=_named("API_WORKERS"), ge=0, le=256)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", validation_alias=_named("LOG_LEVEL"))

    host: str = "127.0.0.1"
    serving_port: int = Field(8000, ge=1, le=65535)
    mlflow_port: int = Field(5000, ge=1, le=65535)
    airflow_port: int = Field(8080, ge=1, le=65535)
    airflow_url: str | None = None
    explainer_host: str = "127.0.0.1"
    explainer_port: int = Field(8001, ge=1, le=65535)
    explainer_url: str | None = None
    embedded_postgres_port: int = Field(15432, ge=1, le=65535)
    embedded_redis_port: int = Field(16379, ge=1, le=65535)
    redis_appendfsync: Literal["no", "everysec", "always"] = "no"

    currency: str = "EUR"
    label_delay_days: float = Field(7.0, gt=0)
    label_window_days: float = Field(60.0, gt=0)
    cohort_ages: str = Field("7,30,60", pattern=r"^[1-9]\d{0,3}(,[1-9]\d{0,3})*$")
    user_history_cap: int = Field(4096, ge=16, le=1_000_000)
    max_file_gb: float = Field(4.0, gt=0)

    threshold_policy: PolicyName = "auto"
    alerts_a_day: float = Field(100.0, gt=0)
    cost_loss: float = Field(1.0, ge=0)
    cost_fee: float = Field(15.0, ge=0)
    cost_false_alarm: float = Field(10.0, gt=0)
    explore_share: float = Field(0.0, ge=0, le=0.2)
    retrain_after_hours: float = Field(24.0, gt=0)
    retrain_after_transactions: int = Field(10_000, ge=0)
    retrain_after_drop: float = Field(0.10, gt=0, lt=1)
    retrain_min_alerts: int = Field(100, ge=1)
    retrain_rest_hours: float = Field(24.0, ge=0)
    retrain_min_frauds: int = Field(50, ge=0)
    training_lease_hours: float = Field(12.0, gt=0)
    drift_min_rows: int = Field(500, ge=100)
    drift_max_rows: int = Field(10_000, ge=500)
    drift_false_discovery_rate: float = Field(0.05, gt=0, lt=1)
    drift_pages_kept: int = Field(72, ge=1)
    first_model: Literal["serve", "hold"] = "serve"
    gate_latency_ms: float = Field(5.0, gt=0)
    model_name: str = "fraud_detector"
    bundle: Path | None = None
    git_commit: str | None = None
    redis_namespace: str = Field("sentinel", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    redis_slots: int = Field(16, ge=1, le=16384)
    redis_deadline_ms: int = Field(50, ge=1)
    stream_max_mb: int = Field(2048, ge=1)
    answer_ttl_seconds: int = Field(3600, ge=1)
    registry_poll_seconds: float = Field(0.5, gt=0)
    request_timeout_seconds: float = Field(5.0, gt=0)
    future_tolerance_seconds: float = Field(300.0, ge=0)
    explain_timeout_ms: int = Field(300, ge=1)
    max_body_bytes: int = Field(1_000_000, ge=1024)
    max_requests: int = Field(1024, ge=1)
    max_waiting: int = Field(4096, ge=1)
    api_keys: str | None = Field(None, repr=False)
    require_api_key: bool | Literal["auto"] = "auto"
    rate_limit_per_minute: int = Field(0, ge=0)
    alert_rules: Path | None = None
    notify_urls: str | None = Field(None, repr=False)
    recorder_batch: int = Field(500, ge=1, le=10_000)

    @field_validator("alert_rules", mode="before")
    @classmethod
    def _none_where_empty(cls, given: Any) -> Any:
        return given or None

    @cached_property
    def label_delay(self) -> timedelta:
        """How long a typical label takes: the gap between splits and the shift of risk tables."""
        return timedelta(days=self.label_delay_days)

    @cached_property
    def label_window(self) -> timedelta:
        """After how long an approved transaction without a label counts as legitimate."""
        return timedelta(days=self.label_window_days)

    @cached_property
    def cohort_age_days(self) -> tuple[int, ...]:
        """At which ages, in days, a cohort of events is measured; ascending."""
        return tuple(sorted({int(age) for age in self.cohort_ages.split(",")}))

    @property
    def needs_api_key(self) -> bool:
        """Whether every request needs an API key: as `require_api_key` says, else where `host` is not loopback."""
        return not is_loopback(self.host) if self.require_api_key == "auto" else self.require_api_key

    @property
    def embedded_postgres(self) -> bool:
        """Whether PostgreSQL is ours to run: neither DATABASE_URL nor DB_HOST is given."""
        return self.database_url_given is None and self.db_host is None

    @property
    def embedded_redis(self) -> bool:
        """Whether Redis is ours to run: neither REDIS_URL nor REDIS_HOST is given."""
        return self.redis_url_given is None and self.redis_host is None

    @property
    def embedded_mlflow(self) -> bool:
        """Whether the MLflow server is ours to run: no MLFLOW_TRACKING_URI is given."""
        return self.mlflow_tracking_uri_given is None

    @property
    def airflow_address(self) -> str:
        """URL of Airflow's API server: SENTINEL_AIRFLOW_URL, else ours on loopback."""
        return (self.airflow_url or f"http://127.0.0.1:{self.airflow_port}").rstrip("/")

    @property
    def explainer_address(self) -> str:
        """URL of the explain process: SENTINEL_EXPLAINER_URL, else ours on loopback."""
        return self.explainer_url or f"http://127.0.0.1:{self.explainer_port}"

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the application's database (driver psycopg2).

        Raises `SettingsError` where the embedded server was never started.
        """
        return self.database_url_for(self.db_name)

    def database_url_for(self, name: str) -> str:
        """SQLAlchemy URL of another database on the same server, such as `mlflow` or `airflow`.

        An explicit DATABASE_URL keeps its host and credentials; only its path changes.
        """
        if self.database_url_given is not None:
            return _replace_database(self.database_url_given, name if name != self.db_name else None)
        if self.db_host is not None:
            if self.db_password is None:
                raise SettingsError(
                    "expected DB_PASSWORD beside DB_HOST, found none.",
                    remedy="Set it in the environment or .env; set it to nothing where the server asks for none.",
                )
            return _postgres_url(self.db_user, self.db_password, self.db_host, self.db_port, name)
        password = self.secret("postgres_password")
        return _postgres_url("sentinel", password, "127.0.0.1", self.embedded_postgres_port, name)

    @property
    def redis_url(self) -> str:
        """URL of Redis: REDIS_URL, else that of REDIS_HOST with REDIS_PASSWORD where one is given.

        Raises `SettingsError` where neither is given and the embedded server was never started.
        """
        if self.redis_url_given is not None:
            return self.redis_url_given
        if self.redis_host is not None:
            return _redis_url(self.redis_password_given, self.redis_host, self.redis_port)
        # REDIS_PASSWORD is not asked: the .env of docker compose holds it too, and the embedded server has its own.
        return _redis_url(self.secret("redis_password"), "127.0.0.1", self.embedded_redis_port)

    @property
    def mlflow_tracking_uri(self) -> str:
        """HTTP URL of the MLflow server."""
        return self.mlflow_tracking_uri_given or f"http://127.0.0.1:{self.mlflow_port}"

    def secret(self, name: str) -> str:
        """Return one secret: as the environment gives it (SENTINEL_AIRFLOW_PASSWORD), else as it was generated.

        Raises `SettingsError` where there is none yet.
        """
        given = getattr(self, name, None)
        if given is not None:
            return str(given)
        path = self.home / SECRETS_FILE
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))[name])
        except (FileNotFoundError, KeyError):
            raise SettingsError(
                f"expected the secret {name!r} in {path}, found none: the embedded servers were never started here.",
                remedy="Run `make up` (or `sentinel up`), or name your own servers: DB_HOST and DB_PASSWORD, or "
                "DATABASE_URL; REDIS_HOST, or REDIS_URL.",
            ) from None


def is_loopback(host: str) -> bool:
    """Whether an address or name to listen on reaches this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _postgres_url(user: str, password: str, host: str, port: int, name: str) -> str:
    return (
        f"postgresql+psycopg2://{quote(user, safe='')}:{quote(password, safe='')}@{host}:{port}/{quote(name, safe='')}"
    )


def _redis_url(password: str | None, host: str, port: int) -> str:
    login = f":{quote(password, safe='')}@" if password else ""
    return f"redis://{login}{host}:{port}/0"


def _replace_database(url: str, name: str | None) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.startswith("postgres"):
        raise SettingsError(
            f"expected DATABASE_URL to start with postgresql://, got the scheme {scheme!r}.",
            remedy="SentinelML stores its data in PostgreSQL.",
        )
    location, _, query = rest.partition("?")
    host, _, path = location.partition("/")
    return f"postgresql+psycopg2://{host}/{name or path}" + (f"?{query}" if query else "")


def load_settings(env_file: Path | str | None = ".env", **overrides: Any) -> Settings:
    """Read the settings from the environment and `env_file`; the environment wins, `overrides` win over both.

    `home` and `alert_rules` are made absolute against the working directory. Raises `SettingsError` that names each
    setting with a value out of bounds.
    """
    try:
        settings = Settings(_env_file=env_file, **overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in e['loc']).upper()}: {e['msg']}, got {e['input']!r}"
            for e in error.errors()
        )
        raise SettingsError(
            f"settings out of bounds: {problems}.", remedy="See .env.example for each setting."
        ) from None
    update = {"home": settings.home.expanduser().resolve()}
    if settings.alert_rules is not None:
        update["alert_rules"] = settings.alert_rules.expanduser().resolve()
    return settings.model_copy(update=update)
