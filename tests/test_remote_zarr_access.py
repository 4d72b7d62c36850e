"""OME-Zarr on servers: logins, redirects, buckets, certificates, addresses."""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import stores
from zarr_shown import assert_shows_what_was_written

from ndviewer_light.errors import (
    DatasetError,
    DatasetNotFoundError,
    DatasetPermissionError,
    PlaneNotStoredError,
    UnsupportedError,
    UntrustedReferenceError,
)
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources import open_source
from ndviewer_light.sources.zarr.format import ZarrFormat
from ndviewer_light.storage.trees import url as url_tree
from tests.bucket_server import BUCKET, BucketServer
from tests.range_server import RangeServer
from tests.zarr_on_servers import (
    HERE,
    ONE,
    a_lonely_machine,  # noqa: F401
    emptied_afterwards,
    paths,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ndviewer_light.sources.zarr.source import ZarrSource

    Open = Callable[..., ZarrSource]

pytest.importorskip("obstore")


@pytest.fixture(scope="module")
def module_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RangeServer]:
    yield from serving(tmp_path_factory)


@pytest.fixture
def server(module_server: RangeServer) -> Iterator[RangeServer]:
    """A server that serves what the test writes below `server.folder`."""
    yield from emptied_afterwards(module_server)


# ---- who may read, and where it is ---------------------------------------------------------------


def test_login_by_options_or_in_the_address(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    server.set(user="bob:se cret")
    assert opened(server.url("i.zarr"), user="bob", password="se cret").info.name == "i.zarr"
    for source in (
        opened(server.url("i.zarr"), user="bob", password="se cret"),
        opened(server.url("i.zarr").replace("//", "//bob:se%20cret@")),
    ):
        assert_shows_what_was_written(source)
        assert "cret" not in str(source.info)
    with pytest.raises(DatasetPermissionError, match="401"):
        opened(server.url("i.zarr"), user="bob", password="wrong")


def test_login_is_sent_to_no_other_computer(server: RangeServer, tmp_path: Path, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    tree = url_tree.UrlTree(server.url("redirect/i.zarr").replace("//", "//bob:cret@"))
    assert "headers" in tree.kvstore(tree.root + "/0")
    server.set(redirect=server.url("i.zarr/0/c/0/0/0/0/0").replace(HERE, "localhost"))
    tree.follow(server.url("redirect/i.zarr/0/c/0/0/0/0/0"))
    kvstore = tree.kvstore(tree.root + "/0")
    assert kvstore["base_url"].startswith("http://localhost:")
    assert "headers" not in kvstore
    assert len(tree.hosts()) == 2


def test_redirects_are_followed(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "p.zarr", {"A/1": 2}, preset="none", sizes=ONE)
    source = opened(server.url("redirect/p.zarr"))
    assert_shows_what_was_written(source)
    chunks = [path for path in paths(server) if "/c/" in path]
    assert len([path for path in chunks if "redirect" in path]) <= 2  # asked once where it leads


def test_signature_for_each_file_is_told(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    server.set(query="sig=1")  # which redirections add
    source = opened(server.url("redirect/i.zarr"))
    with pytest.raises(UnsupportedError, match="signature"):
        source.read_plane(PlaneKey())


def test_circle_of_redirects_is_told(server: RangeServer, opened: Open) -> None:
    stores.write_image(server.folder / "i.zarr", preset="none")
    source = opened(server.url("redirect/i.zarr"))
    server.set(redirect=server.url("redirect/round"))
    with pytest.raises(UntrustedReferenceError, match="loop"):
        source.read_plane(PlaneKey())


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketServer]:
    pytest.importorskip("moto.server", reason="S3 is tested on moto's server")
    with BucketServer() as server:
        yield server


def upload(bucket: BucketServer, folder: Path, prefix: str, *, public: bool) -> str:
    for file in folder.rglob("*"):
        if file.is_file():
            bucket.put(f"{prefix}/{file.relative_to(folder)}", file.read_bytes(), public=public)
    return f"s3://{BUCKET}/{prefix}"


@pytest.mark.parametrize("version", [2, 3])
def test_public_bucket(bucket: BucketServer, tmp_path: Path, opened: Open, version: int) -> None:
    stores.write_plate(tmp_path / "p.zarr", {"A/1": 2}, version=version, preset=None, sizes=ONE)
    url = upload(bucket, tmp_path / "p.zarr", f"public{version}/p.zarr", public=True)
    source = opened(url, endpoint=bucket.endpoint)
    assert_shows_what_was_written(source)
    assert source._tree.hosts() == (bucket.endpoint.removeprefix("http://"),)


def test_private_bucket(
    bucket: BucketServer, tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none", sizes=ONE)
    url = upload(bucket, tmp_path / "i.zarr", "private/i.zarr", public=False)
    with pytest.raises(DatasetPermissionError, match="'key' and 'secret'"):
        opened(url, endpoint=bucket.endpoint)
    source = opened(url, endpoint=bucket.endpoint, key="k", secret="cret")
    assert_shows_what_was_written(source)
    credentials = source._tree.kvstore(source._tree.root)["aws_credentials"]["credentials_file"]
    assert (
        Path(credentials).stat().st_mode & 0o077 == 0 or Path(credentials).parent.stat().st_mode & 0o077 == 0
    )
    source.close()
    assert not Path(credentials).exists()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "cret")
    assert_shows_what_was_written(opened(url, endpoint=bucket.endpoint))
    with pytest.raises(DatasetPermissionError):
        opened(url, endpoint=bucket.endpoint, anonymous="yes")


def test_what_is_missing_in_a_bucket(bucket: BucketServer, tmp_path: Path, opened: Open) -> None:
    store = stores.create_array(tmp_path / "a", [2, 24, 40], chunk=[1, 8, 8])
    stores.fill(store, "zyx")
    (tmp_path / "a/c/0/0/1").unlink()
    shutil.rmtree(tmp_path / "a/c/1")
    source = opened(upload(bucket, tmp_path / "a", "sparse.zarr", public=True), endpoint=bucket.endpoint)
    expected = stores.plane()
    expected[0:8, 8:16] = 0
    np.testing.assert_array_equal(source.read_plane(PlaneKey()), expected)
    with pytest.raises(PlaneNotStoredError):
        source.read_plane(PlaneKey(z=1))


def test_nothing_in_a_bucket(bucket: BucketServer, opened: Open) -> None:
    with pytest.raises((DatasetNotFoundError, DatasetPermissionError), match="nowhere"):
        opened(f"s3://{BUCKET}/nowhere.zarr", endpoint=bucket.endpoint)


def test_public_bucket_of_google(server: RangeServer, opened: Open) -> None:
    stores.write_plate(server.folder / "bucket/deep/p.zarr", {"A/1": 1}, preset="none", sizes=ONE)
    endpoint = server.url().rstrip("/")
    assert_shows_what_was_written(opened("gs://bucket/deep/p.zarr", endpoint=endpoint))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody vouches for, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HERE)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(made.public_bytes(pem) + private)
    return path


READ_FIRST = """
import sys
from ndviewer_light.sources import open_source
from ndviewer_light.model import PlaneKey
sys.stdout.buffer.write(open_source(sys.argv[1]).read_plane(PlaneKey()).tobytes())
"""


def test_secure_server_is_read_if_somebody_vouches_for_it(certificate: Path, tmp_path: Path) -> None:
    stores.write_image(tmp_path / "i.zarr", preset="none")
    with RangeServer(tmp_path, tls=certificate) as secure:
        with pytest.raises(DatasetError, match="SSL_CERT_FILE"):
            open_source(secure.url("i.zarr"))
        done = subprocess.run(
            [sys.executable, "-c", READ_FIRST, secure.url("i.zarr")],
            env={**os.environ, "SSL_CERT_FILE": str(certificate)},
            capture_output=True,
            timeout=60,
            check=False,
        )
    assert done.stdout == stores.plane().tobytes(), done.stderr


def test_arrays_are_not_looked_for_on_a_line_in_clear(
    certificate: Path, server: RangeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with RangeServer(tmp_path, tls=certificate) as secure:
        secure.set(redirect=server.url("i.zarr/0/c/0/0/0/0/0"))
        tree = url_tree.UrlTree(secure.url("redirect/i.zarr"))
        with pytest.raises(UntrustedReferenceError, match="not secure"):
            tree.follow(secure.url("redirect/i.zarr/0/c/0/0/0/0/0"))
    assert not paths(server)


# ---- which addresses are ours --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://a.b/x.zarr", True),
        ("https://a.b/x.ome.zarr/", True),
        ("https://a.b/x.zarr?sig=a.nd2", True),
        ("https://a.b/plates/123", True),
        ("https://a.b/plates/x.v2/", True),
        ("s3://bucket/prefix/plate.zarr/A/1/0", True),
        ("gs://bucket/x.zarr/zarr.json", True),
        ("https://a.b/x/.zattrs", True),
        ("https://a.b/x.ozx", True),
        ("https://a.b/x.zarr.zip?download=1", True),
        ("https://a.b/x.nd2", False),
        ("https://a.b/x.zarr/refs.json", False),
        ("https://a.b/x.lindi.json", False),
        ("https://a.b/x.h5", False),
        ("https://a.b/img_{z:0..95}", False),
        ("https://a.b/x.v2", False),
        ("smb://host/share/x.ozx", True),
        ("smb://host/share/x.nd2", False),
        ("smb://host/share/folder", False),
    ],
)
def test_addresses_are_known_by_their_names(url: str, ours: bool) -> None:
    assert ZarrFormat().recognises(url) is ours


def test_store_on_a_share_has_to_be_mounted() -> None:
    with pytest.raises(UnsupportedError, match="mounted"):
        open_source("smb://user:cret@host/share/x.zarr")


def test_wrong_options_are_told(server: RangeServer) -> None:
    with pytest.raises(DatasetError, match="unknown storage option 'endpont'"):
        open_source(server.url("a.zarr"), {"endpont": "x"})
