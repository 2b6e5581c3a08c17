"""Real receivers on loopback: a webhook that answers as it is told, and a mail server that takes what it gets."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

TOKEN = "token-that-nobody-may-see"


@dataclass
class Webhook:
    """What came, and with which status the next ones are answered; 200 when none is left."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    always: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)
    tried: int = 0

    @property
    def url(self) -> str:
        return f"json://ann:{TOKEN}@127.0.0.1:{self.port}/{TOKEN}"

    def titles(self) -> list[str]:
        return [message["title"] for message in self.got]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Run a webhook until the end of the block."""
    hook = Webhook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = hook.statuses.pop(0) if hook.statuses else hook.always
            hook.tried += 1
            if status == 200:
                hook.got.append(body)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_port
        yield from _running(server, hook)


@dataclass
class Mailbox:
    """What came by SMTP, each message as text; while `refuses`, none is taken."""

    port: int = 0
    refuses: bool = False
    got: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=sentinel@example.org&to=ann@example.org&mode=insecure"


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Run a mail server until the end of the block."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 ready")
            for line in iter(self.rfile.readline, b""):
                word = line.decode().strip().split(" ")[0].upper()
                if word == "DATA":
                    self._take()
                elif word == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("550 no" if word == "RCPT" and box.refuses else "250 ok")

        def _take(self) -> None:
            self._say("354 go on")
            lines = list(iter(self.rfile.readline, b".\r\n"))
            box.got.append(b"".join(lines).decode())
            self._say("250 taken")

        def _say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        box.port = server.server_address[1]
        yield from _running(server, box)


def _running(server: socketserver.BaseServer, what: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield what
    finally:
        server.shutdown()
        thread.join()
