"""A web server on this machine that is slow, flaky or wrong on demand, and counts: a process of its own.

    with RangeServer(folder) as server:
        server.set(latency_s=0.05, faults={"drop": 0.1})
        open_bytes(server.url("a.nd2")) …
        assert server.counts()["requests"] <= 5

It serves the files below one folder on 127.0.0.1 with byte ranges and ETags, and ends with its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import copy
import json
import os
import random
import ssl
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

FAULTS = ("drop", "503", "truncate", "short", "long", "no_range", "wrong_range", "stall", "html", "made")
"""What may go wrong with one answer.

drop: the connection ends before any byte. 503: "Service Unavailable". truncate: half of what
Content-Length promised, then the end. short: half, and Content-Length says half. long: 1 GB more than
Content-Range says. no_range: 200 and the whole file. wrong_range: as many bytes, from elsewhere, and
Content-Range says so. stall: half, then nothing. html: a page to log in, with status 200. made: the same
without a Content-Length. A number as the name is any other status: "403".
"""
_TOGETHER_S = 10.0
_LONGER_BYTES, _ZEROS = 1024**3, bytes(1024**2)


@dataclass
class Behaviour:
    """How the server answers; see `RangeServer.set`."""

    latency_s: float = 0.0  # before each answer
    together: int = 0  # nothing is answered until so many requests are under way, or for 10 s
    bytes_per_s: float = 0.0  # of each connection; 0: as fast as it goes
    faults: dict[str, float] = field(default_factory=dict)  # name → share of answers, 0…1
    fault_limit: int = 1_000_000_000  # of the same range of the same file
    only: str = ""  # faults meet only files with this in their path
    seed: int = 0  # which answers the faults meet
    stall_s: float = 60.0
    retry_after_s: int | None = None  # said with 503
    ranges: bool = True  # False: every answer is the whole file
    heads: bool = True  # False: HEAD is answered 405, as signed URLs do with 403
    etags: bool = True
    etags_of_seconds: bool = False  # as those of nginx: the time in seconds, and the size
    weak: bool = False  # W/"…"
    dates: bool = True  # Last-Modified
    late_s: float = 0.0  # how late the clock of the server is
    conditional: bool = True  # False: If-None-Match and If-Modified-Since are ignored
    missing_status: int = 404  # 403 where a bucket may not be listed
    query: str = ""  # what the query must be, else 403
    user: str = ""  # "name:password" of basic authentication, else 401
    headers: dict[str, str] = field(default_factory=dict)  # said with refusals and redirects
    redirect: str = ""  # where /redirect/… leads; "": to the file itself, with `query`


class RangeServer:
    """The server, running between ``with`` and its end; `tls` is a PEM file with certificate and key."""

    def __init__(self, folder: str | Path, tls: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self._command = [sys.executable, "-S", os.path.abspath(__file__), str(folder)]
        self._command += ["--tls", str(tls)] if tls else []
        self._scheme = "https" if tls else "http"
        self._control_port = self.port = 0
        self._below = ""

    def __enter__(self) -> RangeServer:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port, self._control_port = map(int, self._process.stdout.readline().split())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

    def at(self, folder: Path) -> RangeServer:
        """The same server, without faults, seen from a folder below its own: as if it served only that."""
        inside = copy.copy(self)
        inside._below = f"/{quote(folder.relative_to(self.folder).as_posix())}"
        inside.folder = folder
        inside.set()
        return inside

    def url(self, path: str = "") -> str:
        """The URL of a file, given below the folder."""
        return f"{self._scheme}://127.0.0.1:{self.port}{self._below}/{quote(path)}"

    def set(self, **behaviour: Any) -> None:
        """Answer like this from now on (fields of `Behaviour`, others at their defaults) and count anew."""
        Behaviour(**behaviour)
        self._control(behaviour)

    def end_stalls(self) -> None:
        """End the answers that have stalled, and their connections."""
        self._control({}, "end_stalls")

    def counts(self) -> dict[str, int]:
        """What was served since `set`: requests, heads, bytes (of bodies), in_flight, faults, …"""
        counts: dict[str, int] = self._control(None)["counts"]
        return counts

    def log(self) -> list[dict[str, Any]]:
        """Each answer since `set`, in order: method, path, range, what (status or fault), at (seconds)."""
        log: list[dict[str, Any]] = self._control(None)["log"]
        return [{**entry, "path": entry["path"].removeprefix(unquote(self._below))} for entry in log]

    def _control(self, behaviour: dict[str, Any] | None, what: str = "set") -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._control_port}/{what}"
        body = None if behaviour is None else json.dumps(behaviour).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, body), timeout=60) as answer:
            said: dict[str, Any] = json.load(answer)
            return said


# ---- the process ------------------------------------------------------------------------------


@dataclass
class _Request:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class _Closed(Exception):
    """The connection is to end without another word."""


class _Server:
    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._stalled: set[asyncio.Future[None]] = set()
        self.reset(Behaviour())

    def reset(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._random = random.Random(behaviour.seed)
        self._faulted: dict[tuple[str, str], int] = {}
        self._started = time.monotonic()
        self.log: list[dict[str, Any]] = []
        names = ("requests", "heads", "bytes", "in_flight", "max_in_flight", "connections", "faults")
        self.counts = dict.fromkeys(names, 0)

    async def control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _request(reader)
        if request is not None:
            if request.path == "/end_stalls":
                for stalled in self._stalled:
                    stalled.cancel()
            elif request.method == "POST":
                self.reset(Behaviour(**json.loads(request.body)))
            body = json.dumps({"counts": self.counts, "log": self.log}).encode()
            writer.write(_head(200, {"Content-Length": len(body), "Connection": "close"}) + body)
        writer.close()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts["connections"] += 1
        gone = (ConnectionError, _Closed, asyncio.IncompleteReadError, ssl.SSLError, BrokenPipeError)
        with contextlib.suppress(*gone):
            while (request := await _request(reader)) is not None:
                counts = self.counts
                counts["in_flight"] += 1
                counts["max_in_flight"] = max(counts["max_in_flight"], counts["in_flight"])
                try:
                    await self._answer(request, writer)
                finally:
                    counts["in_flight"] -= 1
        writer.close()

    async def _answer(self, request: _Request, writer: asyncio.StreamWriter) -> None:
        self.counts["heads" if request.method == "HEAD" else "requests"] += 1
        entry: dict[str, Any] = {"method": request.method, "path": request.path, "what": ""}
        entry |= {"range": request.headers.get("range", ""), "at": time.monotonic() - self._started}
        self.log.append(entry)
        behaviour = self.behaviour
        if behaviour.latency_s:
            await asyncio.sleep(behaviour.latency_s)
        deadline = time.monotonic() + _TOGETHER_S
        while self.counts["max_in_flight"] < behaviour.together and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        refused = self._refusal(request)
        if refused is not None:
            entry["what"] = refused[0]
            said = {"Content-Length": 0, **behaviour.headers, **refused[1]}
            writer.write(_head(refused[0], said))
            return
        fault = self._fault(request)
        entry["what"] = fault
        if fault == "drop":
            writer.transport.abort()
            raise _Closed
        if fault == "html":
            page = b"<!doctype html><html><body>Please log in</body></html>"
            writer.write(_head(200, {"Content-Length": len(page), "Content-Type": "text/html"}) + page)
            return
        if fault == "made":
            page = b"<!doctype html><html><body>Please log in</body></html>"
            head = _head(200, {"Transfer-Encoding": "chunked", "Content-Type": "text/html"})
            writer.write(head + (b"%x\r\n%s\r\n0\r\n\r\n" % (len(page), page)) * (request.method != "HEAD"))
            return
        if fault.isdigit():
            wait = {} if behaviour.retry_after_s is None else {"Retry-After": behaviour.retry_after_s}
            text = b"" if request.method == "HEAD" else b"no"
            writer.write(_head(int(fault), {"Content-Length": 2, **wait}) + text)
            return
        await self._file(request, fault, writer, entry)

    def _refusal(self, request: _Request) -> tuple[int, dict[str, Any]] | None:
        behaviour = self.behaviour
        if request.path.startswith("/redirect/"):
            query = f"?{behaviour.query}" if behaviour.query else ""
            target = behaviour.redirect or "/" + quote(request.path.removeprefix("/redirect/")) + query
            return 302, {"Location": target}
        if request.method == "HEAD" and not behaviour.heads:
            return 403, {}
        if request.method not in ("GET", "HEAD"):
            return 405, {}
        if behaviour.query and request.query != behaviour.query:
            return 403, {}
        if behaviour.user:
            wanted = "Basic " + base64.b64encode(behaviour.user.encode()).decode()
            if request.headers.get("authorization") != wanted:
                return 401, {"WWW-Authenticate": 'Basic realm="microscope"'}
        if self._place(request.path) is None:
            return behaviour.missing_status, {}
        return None

    def _place(self, path: str) -> Path | None:
        place = (self.folder / path.lstrip("/")).resolve()
        return place if place.is_file() and place.is_relative_to(self.folder) else None

    def _fault(self, request: _Request) -> str:
        behaviour, place = self.behaviour, (request.path, request.headers.get("range", ""))
        if request.method != "GET" or behaviour.only not in request.path:
            return ""
        if self._faulted.get(place, 0) >= behaviour.fault_limit:
            return ""
        drawn = self._random.random()
        for name, share in behaviour.faults.items():
            drawn -= share
            if drawn < 0:
                self._faulted[place] = self._faulted.get(place, 0) + 1
                self.counts["faults"] += 1
                return name
        return ""

    async def _file(
        self, request: _Request, fault: str, writer: asyncio.StreamWriter, entry: dict[str, Any]
    ) -> None:
        place = self._place(request.path)
        if place is None:
            raise _Closed
        with open(place, "rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            asked = None
            if self.behaviour.ranges and fault != "no_range":
                asked = _range(request.headers.get("range", ""), status.st_size)
            start, end = asked or (0, status.st_size)
            headers: dict[str, Any] = {"Content-Type": "application/octet-stream"}
            if self.behaviour.ranges:
                headers["Accept-Ranges"] = "bytes"
            if self.behaviour.etags:
                changed = int(status.st_mtime) if self.behaviour.etags_of_seconds else status.st_mtime_ns
                headers["ETag"] = f'{"W/" * self.behaviour.weak}"{changed:x}-{status.st_size:x}"'
            if self.behaviour.dates:
                headers["Last-Modified"] = formatdate(status.st_mtime - self.behaviour.late_s, usegmt=True)
            if self.behaviour.conditional and _is_same(request.headers, headers):
                entry["what"] = 304
                del headers["Content-Type"]
                writer.write(_head(304, headers))
                return
            if asked is not None and start >= end:
                head = _head(416, {"Content-Range": f"bytes */{status.st_size}", "Content-Length": 0})
                writer.write(head)
                return
            if fault == "wrong_range" and asked is not None:
                moved = -1 if start else 1
                start, end = start + moved, end + moved
            if asked is not None:
                headers["Content-Range"] = f"bytes {start}-{end - 1}/{status.st_size}"
            half = start + max(1, (end - start) // 2)
            end = half if fault == "short" else end
            headers["Content-Length"] = end - start + (_LONGER_BYTES if fault == "long" else 0)
            entry["what"] = fault or (200 if asked is None else 206)
            writer.write(_head(200 if asked is None else 206, headers))
            if request.method == "HEAD":
                return
            await self._body(file, start, half if fault in ("truncate", "stall") else end, writer)
            for _ in range(_LONGER_BYTES // len(_ZEROS) if fault == "long" else 0):
                self.counts["bytes"] += len(_ZEROS)
                writer.write(_ZEROS)
                await writer.drain()
        if fault == "stall":
            await self._stall()
        if fault in ("truncate", "stall"):
            raise _Closed

    async def _stall(self) -> None:
        stalled = asyncio.ensure_future(asyncio.sleep(self.behaviour.stall_s))
        self._stalled.add(stalled)
        await asyncio.wait([stalled])
        self._stalled.discard(stalled)

    async def _body(self, file: Any, start: int, end: int, writer: asyncio.StreamWriter) -> None:
        speed, began, at = self.behaviour.bytes_per_s, time.monotonic(), start
        step = 64 * 1024 if speed else 1024 * 1024
        while at < end and (part := os.pread(file.fileno(), min(step, end - at), at)):
            self.counts["bytes"] += len(part)  # before it is there, and perhaps the next `set`
            writer.write(part)
            await writer.drain()
            at += len(part)
            if speed:
                await asyncio.sleep(max(0.0, began + (at - start) / speed - time.monotonic()))


async def _request(reader: asyncio.StreamReader) -> _Request | None:
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, target, _ = lines[0].split(" ", 2)
    pairs = (line.partition(":") for line in lines[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    return _Request(method, unquote(path), query, headers, body)


def _is_same(asked: dict[str, str], said: dict[str, Any]) -> bool:
    """Whether a request is only for another version than this one."""
    if "if-none-match" in asked:
        return asked["if-none-match"].removeprefix("W/") == said.get("ETag", "").removeprefix("W/")
    return "Last-Modified" in said and asked.get("if-modified-since") == said["Last-Modified"]


def _range(header: str, size: int) -> tuple[int, int] | None:
    if not header.startswith("bytes=") or "," in header:
        return None
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1 if last else size, size)


def _head(status: int, headers: dict[str, Any]) -> bytes:
    lines = [f"HTTP/1.1 {status} -", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _serve(folder: Path, tls: str | None) -> None:
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
    server, loop = _Server(folder), asyncio.get_running_loop()
    data = await asyncio.start_server(server.connection, "127.0.0.1", 0, backlog=512, ssl=context)
    control = await asyncio.start_server(server.control, "127.0.0.1", 0)
    sys.stdout.write(f"{data.sockets[0].getsockname()[1]} {control.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)  # ends when the parent lets go, or dies
    os._exit(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tls")
    options = parser.parse_args()
    asyncio.run(_serve(options.folder, options.tls))
