"""An OpenAI-compatible server on loopback whose responses, or faults, a test scripts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Tokens that a correct reply reports.
TOKENS = 100


@dataclass(frozen=True)
class Act:
    """A response of the server: an HTTP status, a body, headers, and a delay in seconds."""

    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0


def says(content: str | None, finish_reason: str = "stop", delay: float = 0.0) -> Act:
    """Respond with a chat completion."""
    message = {"role": "assistant", "content": content}
    completion = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": TOKENS - 1, "completion_tokens": 1, "total_tokens": TOKENS},
    }
    return Act(body=json.dumps(completion), delay=delay)


def errs(status: int, text: str = "scripted", **headers: str) -> Act:
    """Respond with an HTTP error in OpenAI's form; `retry_after` sets the header `retry-after`."""
    renamed = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Act(status, json.dumps({"error": {"message": text}}), renamed)


@dataclass
class Server:
    """The script and the requests received; `script` maps a request's number and body to an act."""

    script: Callable[[int, dict[str, Any]], Act]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def requests(self) -> int:
        return len(self.bodies)

    def asked(self, number: int) -> str:
        """Return the text of all messages of a request."""
        return "\n".join(turn["content"] for turn in self.bodies[number]["messages"])

    def arrive(self, body: dict[str, Any], headers: dict[str, str]) -> int:
        with self._lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self.times.append(time.monotonic())
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            return len(self.bodies) - 1

    def leave(self) -> None:
        with self._lock:
            self._at_once -= 1


@contextmanager
def serve(script: Callable[[int, dict[str, Any]], Act]) -> Iterator[Server]:
    """Run the script behind a real socket until the block ends."""
    state = Server(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            number = state.arrive(body, {k.lower(): v for k, v in self.headers.items()})
            try:
                act = state.script(number, body)
                time.sleep(act.delay)
            finally:
                state.leave()
            content = act.body.encode()
            try:
                self.send_response(act.status)
                for name, value in (("content-type", "application/json"), *act.headers):
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:
                # The client stopped waiting.
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
