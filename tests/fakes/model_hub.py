"""Hugging Face's hub with one model in it, on 127.0.0.1: what its own client asks for when it takes a snapshot."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class ModelHub:
    """Listens while entered, in a thread: the client blocks."""

    model: str
    files: dict[str, bytes]
    breaks_after: int | None = None
    """How many bytes of a file come before the connection breaks; None for all."""
    nonsense: bytes | None = None
    """What comes instead of every answer."""
    wanted: threading.Event = field(default_factory=threading.Event)
    """Set when a file is asked for while they are held back."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and range of each request."""

    def __enter__(self) -> ModelHub:
        hub = self
        self._free = threading.Event()
        self._free.set()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802
                hub._answer(self, with_body=True)

            def do_HEAD(self) -> None:  # noqa: N802
                hub._answer(self, with_body=False)

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that closing waits for them
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    @contextlib.contextmanager
    def holding_back(self) -> Iterator[None]:
        """Give no file before the end of the block."""
        self._free.clear()
        try:
            yield
        finally:
            self._free.set()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: http.server.BaseHTTPRequestHandler, with_body: bool) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append((request.command, request.path, wanted))
        file = re.fullmatch(rf"/{re.escape(self.model)}/resolve/\w+/(.+)", request.path)
        if self.nonsense is not None:
            data = self.nonsense
            request.send_response(200)
        elif file and file[1] in self.files:
            data = self.files[file[1]]
            start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted else 0  # type: ignore[index]
            request.send_response(206 if start else 200)
            request.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            request.send_header("X-Repo-Commit", COMMIT)
            request.send_header("Accept-Ranges", "bytes")
            if start:
                request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            data = data[start:]
        elif request.path.startswith(f"/api/models/{self.model}/tree/"):
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            data = json.dumps(entries).encode()
            request.send_response(200)
            request.send_header("Content-Type", "application/json")
        elif request.path.startswith(f"/api/models/{self.model}/revision/"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            data = json.dumps({"id": self.model, "sha": COMMIT, "siblings": siblings}).encode()
            request.send_response(200)
            request.send_header("Content-Type", "application/json")
        else:
            data = b'{"error": "Repository not found"}'
            request.send_response(404)
            request.send_header("X-Error-Code", "RepoNotFound")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        if with_body:
            if file and self.breaks_after is not None and len(data) > self.breaks_after:
                request.wfile.write(data[: self.breaks_after])
                request.wfile.flush()
                request.connection.close()
                request.close_connection = True
                return
            if file and not self._free.is_set():
                self.wanted.set()
                self._free.wait(30)
            with contextlib.suppress(ConnectionError):  # who waited may have gone
                request.wfile.write(data)
