"""A web server on this machine that says what is in its folders: by pages of links, or as buckets do."""

from __future__ import annotations

import contextlib
import functools
import http.server
import threading
import urllib.parse
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class ListingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files; of folders "pages" of links without hidden files, a bucket's "lists", or "nothing".

    Of pages, those that are "tagged" are not sent if they are the same.
    """

    how = ""
    content_type = ""  # of all files, where it is not to be that of their names
    asked: list[str]  # for which paths
    same: list[str]  # of which of these it was said that they are the same

    def do_GET(self) -> None:
        """Answer with a list, if that is asked of a bucket."""
        self.asked.append(self.path)
        path, _, query = self.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        if self.how == "lists" and path in ("/bucket/", "/bucket") and asked.get("list-type") == "2":
            self._answer(_list(Path(self.directory) / "bucket", asked), "application/xml")
        else:
            super().do_GET()

    def guess_type(self, path: Any) -> str:
        """As told."""
        return self.content_type or super().guess_type(path)

    def list_directory(self, path: Any) -> None:
        """A page of links, as nginx gives it."""
        if self.how not in ("pages", "tagged"):
            return self.send_error(403)
        names = sorted(
            each.name + "/" * each.is_dir() for each in Path(path).iterdir() if each.name[0] != "."
        )
        links = "".join(f'<a href="{urllib.parse.quote(name)}">{escape(name)}</a>\n' for name in names)
        return self._answer(f'<html><a href="../">../</a>{links}</html>', "text/html")

    def _answer(self, text: str, kind: str) -> None:
        tag = f'"{zlib.crc32(text.encode()):x}"' if self.how == "tagged" else ""
        if tag and self.headers["If-None-Match"] == tag:
            self.same.append(self.path)
            self.send_response(304)
            return self.end_headers()
        self.send_response(200)
        if tag:
            self.send_header("ETag", tag)
        self.send_header("Content-Type", kind)
        if tag:  # others are sent as they are made
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())
        return None

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _list(root: Path, asked: dict[str, str]) -> str:
    """What is in a folder of a bucket, one name at a time."""
    prefix = asked["prefix"]
    folder = root / prefix
    entries = sorted(folder.iterdir()) if folder.is_dir() and (not prefix or prefix.endswith("/")) else []
    at = int(asked.get("continuation-token", "0"))
    text = ""
    for entry in entries[at : at + 1]:
        key = escape(prefix + entry.name)
        is_folder = entry.is_dir()
        text += (
            f"<CommonPrefixes><Prefix>{key}/</Prefix></CommonPrefixes>"
            if is_folder
            else f"<Contents><Key>{key}</Key></Contents>"
        )
    more = f"<NextContinuationToken>{at + 1}</NextContinuationToken>" if at + 1 < len(entries) else ""
    return f"<ListBucketResult>{more}{text}</ListBucketResult>"


@contextlib.contextmanager
def listing_server(folder: Path, how: str, **more: Any) -> Iterator[tuple[str, list[str]]]:
    """The address of ``folder/bucket``, and the paths that are asked for; the server lists folders `how`."""
    (folder / "bucket").mkdir(exist_ok=True)
    asked: list[str] = []
    handler = type("OneHandler", (ListingHandler,), {"how": how, "asked": asked, "same": [], **more})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/bucket", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(params=["pages", "lists"], name="served")
def served_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address; the server lists folders in this way."""
    with listing_server(tmp_path, request.param) as (url, _):
        yield tmp_path / "bucket", url
