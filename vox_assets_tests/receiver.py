"""Runs a real HTTP receiver for alerts on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer


@dataclass
class Receiver:
    """The messages received, and whether the receiver accepts the next message."""

    port: int
    mails: list[dict] = field(default_factory=list)
    alive: bool = True

    @property
    def url(self) -> str:
        """Return the Apprise URL of the receiver."""
        return f"json://127.0.0.1:{self.port}/alerts"

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
