"""A hub on this machine: a server that answers as huggingface.co does what `huggingface_hub` and `datasets` ask of it.

It has what a download takes: what a repository is and holds, its files with their hashes, large ones behind a redirect
to another address, and the refusals of a repository that is not there, gated, or private. Routes and headers are those
that `huggingface_hub` 2.4 asks for and reads (`hf_api.py`, `file_download.py`, `hf_file_system.py`, `utils/_http.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".parquet", ".gz")
"""Files that lie in large storage: a request for one is sent on to another address."""
TOKEN = "hf_of_a_test"
"""With it a gated repository opens."""


@dataclass
class Repository:
    """A repository with one commit."""

    files: dict[str, bytes]
    gated: bool = False
    admits: bool = True
    """Whether a gated one opens to who shows `TOKEN`; else they are still to be let in."""

    @property
    def commit(self) -> str:
        """Forty hexadecimal digits of what it holds."""
        parts = (part for name in sorted(self.files) for part in (name.encode(), self.files[name]))
        return hashlib.sha1(b"\0".join(parts)).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        """What a listing says of a file."""
        data = self.files[path]
        found: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": _blob(data)}
        if path.endswith(LARGE):
            found["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
        return found

    def listed(self, below: str, recursive: bool) -> list[dict[str, Any]]:
        """The entries of a folder, of all below it or of the folder alone."""
        prefix = f"{below}/" if below else ""
        found, folders = [], dict[str, None]()
        for path in sorted(each for each in self.files if each.startswith(prefix)):
            parts = path.removeprefix(prefix).split("/")
            folders.update({prefix + "/".join(parts[:depth]): None for depth in range(1, len(parts))})
            if recursive or len(parts) == 1:
                found.append(self.entry(path))
        depth = prefix.count("/")
        return [
            *({"type": "directory", "path": each, "oid": _blob(each.encode())}
              for each in folders if recursive or each.count("/") == depth),
            *found,
        ]  # fmt: skip


class Hub:
    """The server, in a thread: `with Hub() as hub`. Programs use it with the environment that `environment` gives."""

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.asked: list[tuple[str, str]] = []
        """Method and path of each request so far."""
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add(self, name: str, files: dict[str, bytes] | Path, kind: str = "models", **how: bool) -> Repository:
        """Publishes a repository, `owner/name`, with files by their paths or those of a folder."""
        if isinstance(files, Path):
            files = {str(each.relative_to(files)): each.read_bytes() for each in files.rglob("*") if each.is_file()}
        repository = self.repositories[kind, name] = Repository(files, **how)
        return repository

    def environment(self, home: Path) -> dict[str, str]:
        """Variables of a program that takes this for the hub, with a cache of its own below `home` and no token."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        return {**kept, "HF_ENDPOINT": self.url, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.hub.asked.append((self.command, path))
        _, *parts = path.split("/")
        if parts[0] == "large":
            return self._file(self.hub.repositories[parts[1], f"{parts[2]}/{parts[3]}"].files["/".join(parts[4:])], {})
        api = parts[0] == "api"
        if api and (len(parts) < 4 or parts[1] not in ("models", "datasets")):
            return self._refuse(404, "", "Not Found")
        if api:
            kind, parts = parts[1], parts[2:]
        else:
            kind, parts = ("datasets", parts[1:]) if parts[0] == "datasets" else ("models", parts)
        owner, name, *rest = parts
        repository = self.hub.repositories.get((kind, f"{owner}/{name}"))
        # As the hub does, which does not tell strangers what there is.
        if repository is None:
            return self._refuse(401, "RepoNotFound", "Invalid username or password.")
        what, revision, below = (rest[0] if rest else "", rest[1] if len(rest) > 1 else "main", "/".join(rest[2:]))
        shown = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repository.gated and what != "revision" and rest and not (shown and repository.admits):
            text = f"Access to {kind} {owner}/{name} is restricted."
            return self._refuse(403 if shown else 401, "GatedRepo", text)
        if revision not in ("main", repository.commit):
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if api:
            return self._api(repository, f"{owner}/{name}", what, below, parse_qs(address.query), body)
        if what != "resolve" or below not in repository.files:
            return self._refuse(404, "EntryNotFound", "Entry not found", {"X-Repo-Commit": repository.commit})
        data = repository.files[below]
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{_blob(data)}"'}
        if not below.endswith(LARGE):
            return self._file(data, headers)
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"'}
        # Another host, as the hub's storage is: `localhost` in place of the number.
        other = self.hub.url.replace("127.0.0.1", "localhost")
        return self._send(302, b"", {**headers, **linked, "Location": f"{other}/large/{kind}/{owner}/{name}/{below}"})

    def _api(self, repository: Repository, name: str, what: str, below: str, query: dict[str, Any], body: str) -> None:
        if what in ("", "revision"):
            siblings = [{"rfilename": each} for each in sorted(repository.files)]
            gated = "manual" if repository.gated else False
            facts = {"id": name, "sha": repository.commit, "siblings": siblings, "private": False, "gated": gated}
            return self._json({**facts, "tags": [], "downloads": 0, "likes": 0})
        if what == "tree":
            found = repository.listed(below, query.get("recursive", ["false"])[0].lower() == "true")
            if not found and below:
                return self._refuse(404, "EntryNotFound", f"{below} does not exist")
            return self._json(found)
        if what == "paths-info":
            asked = parse_qs(body).get("paths", [])
            folders = {each["path"]: each for each in repository.listed("", True) if each["type"] == "directory"}
            there = [repository.entry(each) if each in repository.files else folders.get(each) for each in asked]
            return self._json([each for each in there if each is not None])
        return self._refuse(404, "", "Not Found")

    def _file(self, data: bytes, headers: dict[str, str]) -> None:
        bounds = self.headers.get("Range", "").removeprefix("bytes=").split("-")
        if len(bounds) != 2 or not data:
            return self._send(200, data, headers)
        first = int(bounds[0]) if bounds[0] else len(data) - int(bounds[1])
        last = min(int(bounds[1]) if bounds[0] and bounds[1] else len(data) - 1, len(data) - 1)
        return self._send(
            206, data[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(data)}"}
        )

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, text: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"error": text}).encode()
        self._send(status, body, {"X-Error-Code": code, "X-Error-Message": text, **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _blob(data: bytes) -> str:
    """The name that git has for a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
