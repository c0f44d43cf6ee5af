"""Tests in a real nginx that the proxy of `deploy/` forwards no request without a login."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from vox_assets_tests.postgres import free_port

pytestmark = pytest.mark.slow

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"


class UpstreamHandler(BaseHTTPRequestHandler):
    """Replaces the UI behind the proxy."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"the UI")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[str]:
    """Start nginx with the documented configuration and test paths; yield its address."""
    for program in ("nginx", "openssl"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine: apt-get install {program}")
    port = free_port()
    ui = HTTPServer(("127.0.0.1", 0), UpstreamHandler)
    thread = threading.Thread(target=ui.serve_forever)
    thread.start()

    def openssl(*arguments: str) -> str:
        command = ["openssl", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    key, certificate = tmp_path / "privkey.pem", tmp_path / "fullchain.pem"
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
        *("-keyout", str(key), "-out", str(certificate)),
    )
    (tmp_path / "users").write_text(f"maintainer:{openssl('passwd', '-apr1', 'word')}\n")
    reports = tmp_path / "reports"
    reports.mkdir()
    (reports / "corpus.html").write_text("<h1>report</h1>")
    server = CONFIGURATION.read_text()
    for documented, replacement in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/vox-assets/fullchain.pem": str(certificate),
        "/etc/ssl/vox-assets/privkey.pem": str(key),
        "/etc/nginx/vox-assets.htpasswd": str(tmp_path / "users"),
        "127.0.0.1:3000": f"127.0.0.1:{ui.server_port}",
        "/srv/vox-assets/data/reports/": f"{reports}/",
    }.items():
        assert documented in server, documented
        server = server.replace(documented, replacement)
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"{user} pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}}\n"
        f"http {{ access_log off; {server} }}\n"
    )
    process = subprocess.Popen(
        ["nginx", "-p", str(tmp_path), "-c", str(configuration), "-g", "daemon off;"]
    )
    try:
        deadline = time.monotonic() + 30
        while not (tmp_path / "pid").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield f"https://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
        ui.shutdown()
        ui.server_close()
        thread.join()


def get(url: str, password: str | None = None) -> tuple[int, bytes, str]:
    """Return status, content and content security policy of a response."""
    request = urllib.request.Request(url)
    if password is not None:
        login = base64.b64encode(f"maintainer:{password}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
    # The certificate of the test is self-signed.
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(request, context=context) as response:
            policy = response.headers.get("Content-Security-Policy", "")
            return response.status, response.read(), policy
    except urllib.error.HTTPError as error:
        return error.code, b"", ""


@pytest.mark.parametrize("path", ["/", "/graphql", "/reports/corpus.html"])
def test_a_request_without_the_password_is_not_forwarded(proxy: str, path: str) -> None:
    assert get(proxy + path)[0] == 401
    assert get(proxy + path, "guess")[0] == 401


def test_with_the_password_the_ui_and_the_reports_are_served(proxy: str) -> None:
    assert get(f"{proxy}/", "word")[:2] == (200, b"the UI")
    status, content, policy = get(f"{proxy}/reports/corpus.html", "word")
    assert (status, content) == (200, b"<h1>report</h1>")
    assert "default-src 'none'" in policy
