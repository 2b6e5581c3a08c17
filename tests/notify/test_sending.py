"""Messages reach real receivers, come again when they were refused, and no secret comes out on any way."""

from __future__ import annotations

import email
import email.policy
import io
import logging
import socket
from collections.abc import Iterator

import pytest

from sentinel_core.notify.channels import Channel, channels
from sentinel_core.notify.sending import ATTEMPTS, Delivery, deliver
from tests.notify.servers import TOKEN, Mailbox, Webhook, mailbox, webhook

TITLE, BODY = "[high] latency is firing", "Latency: 120 ms\nThreshold: > 100 ms & <b>\nWhat to do: look at *it*."


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as running:
        yield running


@pytest.fixture
def box() -> Iterator[Mailbox]:
    with mailbox() as running:
        yield running


def send(url: str, seconds: float = 15.0) -> tuple[Delivery, list[float]]:
    waits: list[float] = []
    (channel,) = channels(url)
    return deliver(channel, TITLE, BODY, "failure", seconds=seconds, sleep=waits.append), waits


def test_a_webhook_gets_the_text_as_it_is(hook: Webhook) -> None:
    assert send(hook.url) == (Delivery(True, 1, "taken"), [])
    (message,) = hook.got
    assert (message["title"], message["message"], message["type"]) == (TITLE, BODY, "failure")


def test_what_was_refused_comes_again_after_longer_and_longer_waits(hook: Webhook) -> None:
    hook.statuses = [500, 503]
    assert send(hook.url) == (Delivery(True, 3, "taken"), [1.0, 2.0])
    assert len(hook.got) == 1


def test_after_a_few_attempts_it_says_how_the_last_one_ended(hook: Webhook) -> None:
    hook.always = 403
    assert send(hook.url) == (Delivery(False, ATTEMPTS, "refused with status 403"), [1.0, 2.0])
    assert hook.tried == ATTEMPTS


def test_mail_arrives(box: Mailbox) -> None:
    assert send(box.url) == (Delivery(True, 1, "taken"), [])
    message = email.message_from_string(box.got[0], policy=email.policy.default)
    assert (message["To"], message["Subject"]) == ("ann@example.org", TITLE)
    part = message.get_body(("plain", "html"))
    assert part is not None
    assert "Latency: 120 ms" in part.get_content()


def test_a_mail_server_that_refuses_is_a_failure_and_then_none(box: Mailbox) -> None:
    box.refuses = True
    delivery, _ = send(box.url)
    assert (delivery.sent, delivery.attempts) == (False, ATTEMPTS)
    box.refuses = False
    assert send(box.url)[0].sent
    assert len(box.got) == 1


def test_nobody_there_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    delivery, waits = send(f"json://127.0.0.1:{port}/{TOKEN}")
    assert delivery == Delivery(False, ATTEMPTS, "not reached, or refused")
    assert len(waits) == ATTEMPTS - 1


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        delivery, _ = send(f"json://127.0.0.1:{silent.getsockname()[1]}/{TOKEN}?rto=0.05&cto=0.05", seconds=0.2)
    assert (delivery.sent, delivery.attempts) == (False, ATTEMPTS)
    assert delivery.reason in ("no answer in time", "not reached, or refused")


@pytest.mark.parametrize("url", [f"nosuchthing://{TOKEN}", TOKEN, "slack://"])
def test_what_apprise_does_not_know_is_a_failure_without_an_attempt(url: str) -> None:
    delivery, _ = send(url)
    assert (delivery.sent, delivery.attempts) == (False, 0)
    assert "SENTINEL_NOTIFY_URLS" in delivery.reason


def test_no_secret_comes_out(hook: Webhook, capfd: pytest.CaptureFixture[str]) -> None:
    hook.always = 500
    urls = (hook.url, f"json://127.0.0.1:1/{TOKEN}", f"nosuchthing://{TOKEN}", f"slack://{TOKEN}")
    logged = io.StringIO()
    handler, level = logging.StreamHandler(logged), logging.root.level
    logging.root.addHandler(handler)
    logging.root.setLevel(logging.DEBUG)
    try:
        said = [send(url)[0].reason for url in urls] + [repr(channels(url)) for url in urls]
    finally:
        logging.root.removeHandler(handler)
        logging.root.setLevel(level)
    captured = capfd.readouterr()
    assert hook.tried == ATTEMPTS
    assert TOKEN not in " ".join([*said, logged.getvalue(), captured.out, captured.err])


def test_channels_are_known_by_scheme_and_place() -> None:
    given = " mailto://ann:a,b%20c@example.org?to=x@example.org,y@example.org ,\n  slack://a/b/c json://h/p,more"
    found = channels(given)
    assert [channel.name for channel in found] == ["mailto-1", "slack-2", "json-3"]
    assert found[0].url == "mailto://ann:a,b%20c@example.org?to=x@example.org,y@example.org"
    assert found[2].url == "json://h/p,more"
    assert channels(None) == channels("") == channels(" , ") == ()
    assert channels(TOKEN) == (Channel("unknown-1", TOKEN),)
    assert TOKEN not in repr(channels(f"json://{TOKEN}"))
