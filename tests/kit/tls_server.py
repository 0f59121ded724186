"""An HTTPS server on loopback whose certificate is good, or wrong in one of the ways in which certificates are wrong.

The certificates are files, valid or expired for a century, so that nothing has to be installed to make them. All four
belong to ``key.pem``, which is no secret: it protects nothing. `GOOD`, `EXPIRED` and `ELSEWHERE` are signed by
``authority.pem``, which nobody trusts who is not told to (`trusting`); its key is thrown away. To make them anew, sign
for ``DNS:localhost, IP:127.0.0.1`` (`ELSEWHERE`: ``DNS:elsewhere.example``) with key identifiers and key usage, which
Python 3.13 insists on.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GOOD, EXPIRED, ELSEWHERE, SELF_SIGNED = "good", "expired", "elsewhere", "self_signed"

CERTIFICATES = Path(__file__).parent / "certificates"


def trusting() -> ssl.SSLContext:
    """What a client is given that trusts the authority of the kit, and nobody else."""
    return ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))


class TlsServer:
    """The server; `serving_tls` runs it. What it counts is final when the block is left.

    Attributes:
        url: Where it listens, by the number of the host, without a slash at the end.
        port: The same, for who wants to say ``localhost``.
        seen: What reached it past the certificate: method, path, and the headers by their small names.
        refused: How many clients broke off instead.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.refused = 0


@contextmanager
def serving_tls(certificate: str, answer: bytes = b"{}") -> Iterator[TlsServer]:
    """Serve with one of the certificates; every request gets the same answer, as JSON.

    Leaving the block waits for the threads of the server, so clients should be closed by then.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem", CERTIFICATES / "key.pem")

    class Listener(ThreadingHTTPServer):
        daemon_threads = False  # they are waited for

        def finish_request(self, request: Any, client_address: Any) -> None:
            request.settimeout(10)
            try:
                secured = context.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError):
                server.refused += 1
                return
            with secured:
                super().finish_request(secured, client_address)

    class Request(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.seen.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with Listener(("127.0.0.1", 0), Request) as listener:
        server = TlsServer(listener.server_address[1])
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
