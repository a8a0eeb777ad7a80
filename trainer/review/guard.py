"""Who may ask the review's server: a page that it gave out itself, in a browser of this machine.

The address holds a random token. A page of another site does not know it, and could not use it:
requests that name another host (DNS rebinding), come from another origin, or are of a form that a
browser sends across sites without asking are refused.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

MAX_BODY = 32 << 20
"""Bytes of a request's body: a label of 100 megapixels, compressed."""
HOST = "127.0.0.1"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""


def new_token() -> str:
    """43 random characters that may stand in an address."""
    return secrets.token_urlsafe(32)


class Guard:
    """The checks of a request, before anything of it is used.

    Args:
        token: that the address must hold. port: on which the server listens.
    """

    def __init__(self, token: str, port: int) -> None:
        self._token = token.encode()
        self._hosts = {f"{HOST}:{port}", f"localhost:{port}"}

    def place(self, path: str) -> str | None:
        """What the address names after the token; None where the token is missing or wrong."""
        _, _, rest = path.partition("/")
        token, slash, place = rest.partition("/")
        fits = secrets.compare_digest(token.encode(errors="replace"), self._token)
        return place if fits and slash else None

    def refusal(self, method: str, headers: Mapping[str, str]) -> str:
        """Why a request is refused; "" where it is not.

        Args:
            headers: names in small letters.
        """
        host = headers.get("host", "")
        if host not in self._hosts:
            return "this server answers to 127.0.0.1 only"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return "a page of another site may not ask"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "a page of another site may not ask"
        if method == "POST":
            kind = headers.get("content-type", "")
            if origin is None or kind not in ("application/json", "image/png"):
                return "only the page itself may decide"
        elif method != "GET":
            return "only GET and POST are answered"
        return ""
