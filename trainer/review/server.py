"""The review's server: Python's own ``http.server`` on 127.0.0.1.

It is enough for one person at one machine, is kept with Python, is typed and needs no package. What
it lacks for more stands in ``guard.py``: checks of token, host and origin, limits, headers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bgdefect_core.errors import OutputError

from .guard import HEADERS, HOST, MAX_BODY, Guard, new_token
from .session import Session
from .site import Answer, Site, refused

log = logging.getLogger(__name__)


def serve(session: Session, port: int, started: Callable[[str], None]) -> None:
    """Answer requests until Ctrl-C.

    Args:
        port: 0: any that is free. started: called once with the page's address.

    Raises:
        OutputError: the port is taken.
    """
    try:
        server = _Server((HOST, port), _RequestHandler)
    except (OSError, OverflowError) as reason:
        came = f"port {port} cannot be used ({reason})"
        raise OutputError(came, "a free port", "choose another --port") from reason
    with server:
        token = new_token()
        server.guard, server.site = Guard(token, server.server_port), Site(session)
        started(f"http://{HOST}:{server.server_port}/{token}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            log.info("the review was closed")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name == "posix"  # on Windows it would share the port
    guard: Guard
    site: Site

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes a connection is no error."""
        log.debug("a connection ended early", exc_info=True)


class _RequestHandler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "bgdefect", ""
    timeout = 60

    def do_GET(self) -> None:  # noqa: N802  (the name that http.server calls)
        """Pages, scripts, pictures."""
        self._answer("GET")

    def do_POST(self) -> None:  # noqa: N802
        """Decisions and labels."""
        self._answer("POST")

    def _answer(self, method: str) -> None:
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            if name.lower() == "host" and "host" in headers:
                value = ""
            headers[name.lower()] = value
        reason = self.server.guard.refusal(method, headers)
        path, _, _ = self.path.partition("?")
        place = self.server.guard.place(path)
        if reason or place is None:
            self.close_connection = True  # a body that nobody reads is no next request
            self._send(refused(403, reason or "open the address that bgdefect review printed"))
        elif method == "GET":
            self._send(self.server.site.get(place))
        else:
            body = self._body(headers)
            if body is None:
                self.close_connection = True
                self._send(refused(413, f"a body of 0 to {MAX_BODY} bytes is read"))
            else:
                self._send(self.server.site.post(place, body))

    def _body(self, headers: dict[str, str]) -> bytes | None:
        size = headers.get("content-length", "")
        fits = size.isascii() and size.isdigit() and len(size) < 12 and int(size) <= MAX_BODY
        if not fits or "transfer-encoding" in headers:
            return None
        return self.rfile.read(int(size))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", answer.cache)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address holds the token."""
