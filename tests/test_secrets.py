"""Logins, signatures and storage options are in no message, log, title or list, whatever goes wrong."""

from __future__ import annotations

import itertools
import logging
import traceback
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from PIL import Image

from ndviewer_light import open_dataset
from ndviewer_light.cli import info
from ndviewer_light.errors import DatasetError
from ndviewer_light.storage.presentable import presentable
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("obstore")

CANARY = "canary-7f3a"
QUERY = f"?X-Amz-Signature={CANARY}&sv={CANARY}#{CANARY}"
OPTIONS = {"user": "bob", "password": CANARY, "timeout": "1"}
NAMES = ("x.zarr", "x.h5", "x.nd2", "x.tif", "x.png", "img_{t}.png", "refs.json", "x.ozx", "x.txt", "x/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://u:pw@host:80/a b/x.zarr?sig=s#f", "http://host:80/a b/x.zarr"),
        ("HTTPS://u:p%40w@host?sig=s", "https://host"),
        ("https://host/a.h5?sig=s::/inside", "https://host/a.h5::/inside"),
        ("http://u:p/w@host/x", "http://host/x"),
        ("http://u:p?w@host/x", "http://host/x"),
        ("http://u:p@[::1/x?s", "http://[::1/x"),
        ("http://[::1]:80/x@y?s", "http://[::1]:80/x@y"),
        ("s3://key:secret@bucket/a#1/b?c.nd2", "s3://bucket/a#1/b?c.nd2"),
        ("s3://bucket/a.nd2?X-Amz-Signature=s", "s3://bucket/a.nd2"),
        ("smb://domain;u:p@host/share/x", "smb://host/share/x"),
        ("/data/a?b#c@d.tif", "/data/a?b#c@d.tif"),
        ("C:\\data\\x", "C:\\data\\x"),
        ("", ""),
    ],
)
def test_what_is_presentable_of_an_address(url: str, said: str) -> None:
    assert presentable(url) == said
    assert presentable(said) == said


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RangeServer]:
    """A server that holds one good and many damaged files."""
    for name in NAMES:
        if "{" not in name and not name.endswith("/"):
            (tmp_path / name).write_bytes(b"garbage" * 100)
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(tmp_path / "img_0.png")
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file["a"] = np.ones((2, 40, 50), np.uint16)
        file["b"] = np.ones((2, 40, 50), np.uint16)
    with RangeServer(tmp_path) as server:
        yield server


def _opened(url: str, options: dict[str, str], **how: Any) -> str:
    """All that is said when a dataset is opened and read: of the dataset, or of the error and its chain."""
    try:
        dataset = open_dataset(url, storage_options=options, **how)
    except DatasetError as error:
        return "".join(traceback.format_exception(error)) + repr(error)
    said = repr(dataset) + repr(dataset.info.name) + "".join(dataset.info.warnings)
    try:
        dataset.plane()
    except DatasetError as error:
        said += "".join(traceback.format_exception(error))
    finally:
        dataset.close()
    return said


def _told(url: str, options: dict[str, str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says, for people and for programs."""
    capsys.readouterr()
    storage = itertools.chain.from_iterable(("--storage-option", f"{n}={v}") for n, v in options.items())
    arguments = [url, *storage]
    info.main(arguments)
    info.main([*arguments, "--json"])
    said = capsys.readouterr()
    return said.out + said.err


def _secret_url(server: RangeServer, name: str) -> str:
    return f"http://bob:{CANARY}@127.0.0.1:{server.port}/{name}{QUERY}"


@pytest.mark.parametrize("fault", ["", "403", "401", "html", "truncate", "drop"])
def test_what_fails_on_a_server_tells_no_secret(
    server: RangeServer,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ndviewer_light.storage.remote.retries.REQUEST_RETRY_SECONDS", (0.01,))
    caplog.set_level(logging.DEBUG)
    server.set(faults={fault: 1.0} if fault else {})
    said = ""
    for name in (*NAMES, "missing.zarr", "missing.h5"):
        url = _secret_url(server, name)
        said += _opened(url, OPTIONS) + _told(url, OPTIONS, capsys)
    assert said.count("127.0.0.1") > len(NAMES), "the errors name the server"
    assert CANARY not in said
    assert CANARY not in caplog.text


def test_what_is_no_address_tells_no_secret(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    login = f"u:{CANARY}@"
    urls = [f"{scheme}://{login}127.0.0.1:1/x.zarr{QUERY}" for scheme in ("http", "ftp", "smb", "gopher")]
    urls += [f"http://{login}[::1/x.h5{QUERY}", f"http://{login}127.0.0.1:x/x.h5{QUERY}", f"http:///x{QUERY}"]
    urls += [f"s3://{login}bucket/x.nd2", f"s3://{login}/x.zarr{QUERY}"]
    options = {**OPTIONS, "endpoint": "http://127.0.0.1:1", "key": CANARY, "secret": CANARY, "token": CANARY}
    for url in urls:
        said = _opened(url, options) + _told(url, options, capsys)
        assert CANARY not in said, url
    assert CANARY not in caplog.text


def test_what_succeeds_tells_no_secret(
    server: RangeServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("good.h5", "img_{t}.png"):
        url = _secret_url(server, name).partition("#")[0]
        said = _opened(url, OPTIONS) + _told(url, OPTIONS, capsys)
        assert "could not" not in said
        assert CANARY not in said
    assert CANARY not in caplog.text


def test_a_process_that_reads_tells_no_secret(
    server: RangeServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("x.h5", "good.h5", "missing.zarr"):
        assert CANARY not in _opened(_secret_url(server, name), OPTIONS, isolate=True)
    assert CANARY not in "".join(capfd.readouterr()) + caplog.text
