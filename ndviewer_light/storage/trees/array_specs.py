"""The tensorstore ``kvstore`` specs of arrays on a server."""

from __future__ import annotations

import os
import tempfile
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from ...errors import UnsupportedError

if TYPE_CHECKING:
    from ..limits import JsonObject
    from ..remote.client import Settings

GOOGLE = "https://storage.googleapis.com"


class AwsProfile:
    """Credentials in the only form that tensorstore accepts: files readable only by this user.

    Any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def spec(self, settings: Settings) -> JsonObject:
        """The value for tensorstore's ``aws_credentials``; writes the files."""
        lines = [f"aws_access_key_id = {settings.key}", f"aws_secret_access_key = {settings.secret}"]
        lines += [f"aws_session_token = {settings.token}"] if settings.token else []
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="ndviewer-")
            folder = self._folder.name
            for name, profile in (("credentials", "ndviewer"), ("config", "profile ndviewer")):
                with open(os.path.join(folder, name), "w") as file:
                    file.write("\n".join([f"[{profile}]", *(lines if name == "credentials" else [])]) + "\n")
        return {
            "type": "profile",
            "profile": "ndviewer",
            "credentials_file": os.path.join(folder, "credentials"),
            "config_file": os.path.join(folder, "config"),
        }

    def remove(self) -> None:
        """Delete the files. May be called twice."""
        with self._lock:
            folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()


def s3_spec(bucket: str, key: str, settings: Settings, profile: AwsProfile | None) -> JsonObject:
    """An array in a bucket, read with the credentials of `settings` through `profile`, else anonymously."""
    found: JsonObject = {"driver": "s3", "bucket": bucket, "path": _with_slash(key)}
    endpoint = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
    region = settings.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint:
        found["endpoint"] = endpoint.rstrip("/")
    if region or endpoint:
        found["aws_region"] = region or "us-east-1"
    found["aws_credentials"] = {"type": "anonymous"} if profile is None else profile.spec(settings)
    return found


def _with_slash(key: str) -> str:
    return f"{key}/" if key else ""


def web_spec(base: str, query: str, key: str, login: str) -> JsonObject:
    """An array below the URL `base`; `login` is the Authorization header, "" for none."""
    parts = urlsplit(base)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    found: JsonObject = {"driver": "http", "base_url": plain + query, "path": _with_slash(key)}
    return {**found, "headers": [f"Authorization: {login}"]} if login else found


def google_spec(bucket: str, key: str, settings: Settings) -> JsonObject:
    """An array in a Google bucket, read with a service account. Raises `UnsupportedError`."""
    # tensorstore finds a service account's file only in the usual places
    given = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    usual = os.path.expanduser("~/.config/gcloud/application_default_credentials.json")
    if settings.credentials not in (given, usual):
        raise UnsupportedError(
            f"gs://{bucket}: OME-Zarr cannot be read with the storage option 'credentials'. "
            "Set the environment variable GOOGLE_APPLICATION_CREDENTIALS to that file instead"
        )
    return {"driver": "gcs", "bucket": bucket, "path": _with_slash(key)}
