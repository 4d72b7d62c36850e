"""Buckets and the credentials for them, from options, the environment and the usual files."""

from __future__ import annotations

import configparser
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Settings


def s3_config(settings: Settings, signed: bool) -> Any:
    """What the client library is told of a bucket at Amazon, or at an endpoint like it."""
    region = settings.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    config: dict[str, Any] = {"region": region or "us-east-1", "virtual_hosted_style_request": False}
    endpoint = settings.endpoint or os.environ.get("AWS_ENDPOINT_URL", "")
    if endpoint:
        config["endpoint"] = endpoint
    if not signed:
        return {**config, "skip_signature": True}
    config |= {"access_key_id": settings.key, "secret_access_key": settings.secret}
    return {**config, "session_token": settings.token} if settings.token else config


def gs_config(settings: Settings, signed: bool) -> Any:
    """What the client library is told of a bucket at Google."""
    config: dict[str, Any] = {"base_url": settings.endpoint} if settings.endpoint else {}
    if not signed:
        return {**config, "skip_signature": True}
    if settings.token:
        return {**config, "bearer_token": settings.token}
    return {**config, "application_credentials": settings.credentials}


def aws_credentials(settings: Settings) -> dict[str, str]:
    """From the options, else the environment, else the profile in ~/.aws; never from the network."""
    if settings.key and settings.secret:
        return {"key": settings.key, "secret": settings.secret, "token": settings.token}
    environment = os.environ
    if environment.get("AWS_ACCESS_KEY_ID") and environment.get("AWS_SECRET_ACCESS_KEY"):
        key, secret = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        return {"key": key, "secret": secret, "token": environment.get("AWS_SESSION_TOKEN", "")}
    path = environment.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.expanduser("~/.aws/credentials")
    profiles = configparser.ConfigParser(interpolation=None)
    try:
        profiles.read(path, encoding="utf-8")
        profile = profiles[environment.get("AWS_PROFILE", "default")]
        key, secret = profile["aws_access_key_id"], profile["aws_secret_access_key"]
        return {"key": key, "secret": secret, "token": profile.get("aws_session_token", "")}
    except (KeyError, OSError, configparser.Error, UnicodeDecodeError):
        return {}


def google_credentials(settings: Settings) -> dict[str, str]:
    """From the options, else the file that the environment or gcloud names; never from the network."""
    if settings.token:
        return {"token": settings.token}
    usual = os.path.expanduser("~/.config/gcloud/application_default_credentials.json")
    for path in (settings.credentials, os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", ""), usual):
        if path and os.path.isfile(path):
            return {"credentials": path}
    return {}
