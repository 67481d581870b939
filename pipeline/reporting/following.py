"""The report of a running chain: written anew when a manifest or a metric changes, and served on this machine."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pipeline.core.errors import ConfigError, UserError
from pipeline.core.terminal import say
from pipeline.reporting.blocks import Report
from pipeline.reporting.html import render_html
from pipeline.reporting.markdown import render_markdown
from pipeline.reporting.writing import write_report

LOOK_SECONDS = 2.0
"""From one look at the run's files to the next."""
WATCHED = ("run.json", "*/config.json", "*/manifest.json", "*/attempts/*/metrics.jsonl")
LOCAL = ("localhost", "127.0.0.1", "[::1]")
"""Names by which a browser on this machine may ask: a page from elsewhere could give its own name this address."""


class Following:
    """Keeps the report of a run up to date, on the disk and for who asks."""

    def __init__(self, run: Path, build: Callable[[], Report], output: Path | None = None) -> None:
        """Builds the report a first time.

        Args:
            run: folder whose files are watched.
            build: reads the run and builds the report.
            output: folder that takes `report.html` and `report.md`; None writes neither.
        """
        self._run, self._build, self._output = run, build, output
        self._over = threading.Event()
        self._seen = self._state()
        self.page = self.text = self.version = ""
        self.update()

    def update(self) -> None:
        """Builds the report anew, and writes it where it is to be written."""
        report = self._build()
        if self._output is not None:
            write_report(report, self._output)
        version = hashlib.sha256(render_html(report).encode(errors="replace")).hexdigest()[:16]
        self.page, self.text, self.version = render_html(report, version), render_markdown(report), version

    def update_if_changed(self) -> bool:
        """Builds the report anew if a watched file changed since; whether one did."""
        state = self._state()
        if state == self._seen:
            return False
        self._seen = state
        self.update()
        return True

    def watch(self) -> None:
        """Looks every two seconds, until `stop`; a report that cannot be built is said once for each change."""
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.update_if_changed()
            except (UserError, OSError, ValueError) as error:
                say(f"fivephase: the report stays as it was: {error}")

    def stop(self) -> None:
        """Ends `watch` before its next look."""
        self._over.set()

    def _state(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        for pattern in WATCHED:
            for path in self._run.glob(pattern):
                try:
                    stat = path.stat()
                except OSError:
                    continue
                found[str(path)] = (stat.st_mtime_ns, stat.st_size)
        return found


def server(following: Following, port: int) -> ThreadingHTTPServer:
    """A server on this machine alone, bound and not yet started, which gives the report and nothing else.

    Args:
        following: whose report.
        port: 0 takes a free one.

    Raises:
        ConfigError: for a port that is taken, or may not be.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = (
                self.headers.get("Host", "").rsplit(":", 1)[0] if "]" not in self.headers.get("Host", "") else "[::1]"
            )
            answers = {
                "/": (following.page, "text/html"),
                "/version": (following.version, "text/plain"),
                "/report.md": (following.text, "text/plain"),
            }
            found = answers.get(self.path.partition("?")[0])
            if host not in LOCAL or found is None:
                self.send_error(403 if host not in LOCAL else 404)
                return
            body = found[0].encode(errors="replace")
            self.send_response(200)
            self.send_header("Content-Type", f"{found[1]}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a browser asks every two seconds."""

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "another program has it" if taken else str(error)
        raise ConfigError(f"--port={port}: {why}; give another, or 0 for a free one") from None
