"""A transaction for the stack, and what became of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
from sqlalchemy import text

from sentinel_core.stores.postgres import connected, make_engine
from tests.e2e.stack import Checkout

BEGUN = datetime.now(UTC)


def ask(checkout: Checkout, transaction_id: str) -> httpx.Response:
    """Send one transaction; the same id is the same transaction."""
    payload = {
        "transaction_id": transaction_id,
        "user_id": "somebody-new",
        "amount": 12.5,
        "merchant_id": "m-1",
        "merchant_category": "grocery",
        "transaction_type": "purchase",
        "timestamp": BEGUN.isoformat(),
    }
    url = f"http://127.0.0.1:{checkout.settings.serving_port}/api/v1/predict"
    return httpx.post(url, json=payload, timeout=30, trust_env=False)


def predict(checkout: Checkout, transaction_id: str) -> dict[str, Any]:
    """Return the answer to one transaction."""
    answer = ask(checkout, transaction_id)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def stored_prediction(checkout: Checkout, transaction_id: str) -> Any:
    """Return what PostgreSQL holds of a prediction, or None."""
    engine = make_engine(checkout.settings)
    statement = text(
        "SELECT t.fraud_score, t.model_version, t.features, l.prediction, l.degraded FROM transactions t "
        "JOIN prediction_logs l USING (transaction_id) WHERE transaction_id = :id"
    )
    try:
        with connected(engine) as conn:
            return conn.execute(statement, {"id": transaction_id}).one_or_none()
    finally:
        engine.dispose()
