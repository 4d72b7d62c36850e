"""Buckets and secure servers: anonymously first, then with credentials; never over a line in clear."""

from __future__ import annotations

import datetime
import ipaddress
import os
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image
import pytest

from ndviewer_light import open_dataset
from ndviewer_light.errors import (
    DatasetError,
    DatasetNotFoundError,
    DatasetPermissionError,
    UntrustedReferenceError,
)
from ndviewer_light.storage.open_bytes import open_bytes
from ndviewer_light.storage.remote import client as fetch_client
from ndviewer_light.storage.remote import retries
from ndviewer_light.storage.remote.scheduler import the_scheduler
from tests.bucket_server import BucketServer
from tests.range_server import RangeServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024**2
CONTENT = os.urandom(4 * MIB)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path) -> Iterator[None]:
    """As on a machine where nobody has set up any."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(retries, "REQUEST_RETRY_SECONDS", (0.01, 0.01))
    yield
    the_scheduler().stop()


@pytest.fixture(scope="module")
def bucket() -> Iterator[BucketServer]:
    pytest.importorskip("moto.server")
    with BucketServer() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("served")) as server:
        (server.folder / "bucket").mkdir()
        (server.folder / "bucket" / "a.nd2").write_bytes(CONTENT)
        yield server


def content_of(url: str, options: dict[str, str]) -> bytes:
    """All of it, read in parts; that the parts are right is what counts here."""
    file = open_bytes(url, options)
    parts = file.read_many([(offset, MIB // 2) for offset in range(0, file.size, MIB // 2)])
    file.close()
    return b"".join(parts)


@pytest.mark.parametrize("key", ["a.nd2", "folder/with space/ü+#1?.nd2"])
def test_an_object_that_everybody_may_read_needs_no_credentials(bucket, key):
    url = bucket.put(key, CONTENT)
    assert content_of(url, {"endpoint": bucket.endpoint}) == CONTENT


def test_an_object_that_not_everybody_may_read_is_read_with_credentials(bucket, monkeypatch, tmp_path):
    url, endpoint = bucket.put("private.nd2", CONTENT, public=False), {"endpoint": bucket.endpoint}
    with pytest.raises(DatasetPermissionError, match=r"the bucket pictures .* 'key' and 'secret'"):
        open_bytes(url, endpoint)
    assert content_of(url, {**endpoint, "key": "k", "secret": "canary"}) == CONTENT
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = k\naws_secret_access_key = s%3d\n"
    )
    assert content_of(url, endpoint) == CONTENT
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert content_of(url, endpoint) == CONTENT
    with pytest.raises(DatasetPermissionError):
        open_bytes(url, {**endpoint, "anonymous": "true"})


@pytest.mark.parametrize("key", ["run#1/a?b=c", "a#b.nwb", "with space/?.tif"])
def test_what_an_object_is_does_not_depend_on_its_key(bucket, key, tmp_path):
    pixels = np.arange(20 * 24, dtype=np.uint16).reshape(20, 24)
    PIL.Image.fromarray(pixels).save(tmp_path / "a.png")
    url = bucket.put(key, (tmp_path / "a.png").read_bytes())
    with open_dataset(url, storage_options={"endpoint": bucket.endpoint, "disk_cache": "no"}) as dataset:
        np.testing.assert_array_equal(dataset.plane(), pixels)


@pytest.mark.parametrize("url", ["s3://pictures/none.nd2", "s3://no-such-bucket/a.nd2"])
def test_an_object_that_is_not_there_says_so(bucket, url):
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        open_bytes(url, {"endpoint": bucket.endpoint})


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_buckets_are_read_by_ranges_as_any_server(server, scheme):
    server.set()
    assert content_of(f"{scheme}://bucket/a.nd2", {"endpoint": server.url().rstrip("/")}) == CONTENT
    assert {entry["path"] for entry in server.log()} == {"/bucket/a.nd2"}, "nothing else is asked for"


def test_a_bucket_elsewhere_says_where_it_lies(server, monkeypatch):
    monkeypatch.setattr(fetch_client, "_AMAZON", server.url().rstrip("/"))
    server.set(faults={}, missing_status=403, headers={"x-amz-bucket-region": "eu-west-3"})
    assert fetch_client.region_of("elsewhere") == "eu-west-3"
    server.set(faults={"302": 1.0})
    with pytest.raises(DatasetError, match="another region: set the storage option 'region'"):
        open_bytes("s3://bucket/a.nd2", {"endpoint": server.url().rstrip("/")})


# ---- certificates -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate of 127.0.0.1 that nobody vouches for, and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.datetime.now(datetime.timezone.utc)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=1))
        .not_valid_after(today + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(key.private_bytes(*formats, plain) + signed.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture(scope="module")
def secure(certificate, tmp_path_factory) -> Iterator[RangeServer]:
    with RangeServer(tmp_path_factory.mktemp("secure"), tls=certificate) as server:
        (server.folder / "a.nd2").write_bytes(CONTENT)
        yield server


def test_a_certificate_nobody_vouches_for_is_refused_and_it_is_said_what_to_do(secure):
    with pytest.raises(DatasetError, match=r"is not secure, .* SSL_CERT_FILE"):
        open_bytes(secure.url("a.nd2"))
    assert secure.counts()["requests"] == 0


def test_the_certificate_of_an_institute_is_trusted_when_named(secure, certificate, monkeypatch):
    secure.set()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert content_of(secure.url("a.nd2"), {"timeout": "21"}) == CONTENT


def test_a_redirect_from_a_secure_server_to_one_in_clear_is_not_followed(
    secure, server, certificate, monkeypatch
):
    server.set()
    secure.set(redirect=server.url("bucket/a.nd2"))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with pytest.raises(UntrustedReferenceError, match="not secure"):
        open_bytes(secure.url("redirect/a.nd2"), {"timeout": "22"})
    assert server.counts()["requests"] == 0


def test_a_server_in_clear_where_a_secure_one_was_named(server):
    server.set()
    with pytest.raises(
        DatasetError, match=r"127\.0\.0\.1.*(not secure|stopped sending|closed the connection)"
    ):
        open_bytes(server.url("bucket/a.nd2").replace("http:", "https:"), {"timeout": "0.3"})
