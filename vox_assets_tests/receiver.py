"""Runs a real HTTP receiver for alerts and heartbeats on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

#: The path of a check of Healthchecks.
PING_PATH = "/ping/0b1f9d0e-0000-4000-8000-000000000000"


@dataclass
class Receiver:
    """The messages and pings received, and whether the receiver accepts the next one."""

    port: int
    mails: list[dict] = field(default_factory=list)
    #: Path and query of each ping, relative to `heartbeat_url`.
    pings: list[str] = field(default_factory=list)
    alive: bool = True

    @property
    def url(self) -> str:
        """Return the Apprise URL of the receiver."""
        return f"json://127.0.0.1:{self.port}/alerts"

    @property
    def heartbeat_url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PING_PATH}"

    def bodies(self) -> str:
        return "\n".join(f"{mail['title']}\n{mail['message']}" for mail in self.mails)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on a free loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.alive:
                receiver.mails.append(json.loads(content))
            self.send_response(200 if receiver.alive else 503)
            self.end_headers()

        def do_GET(self) -> None:
            if receiver.alive and self.path.startswith(PING_PATH):
                receiver.pings.append(self.path.removeprefix(PING_PATH))
            self.send_response(200 if receiver.alive else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
