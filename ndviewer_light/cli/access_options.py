"""The options that say how a dataset is accessed, the same for every command that opens one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """Add the access options, which `storage_options` reads."""
    group = parser.add_argument_group("access options")
    group.add_argument(
        "--storage-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="access option for a server or bucket; may be repeated. Names: endpoint, region, anonymous, "
        "key, secret, user, password, timeout, …",
    )
    group.add_argument(
        "--format",
        metavar="NAME",
        help="format of the dataset, if its name and first bytes mislead: ome-zarr, tiff, nd2, hdf5, "
        "references, mrc, images",
    )
    group.add_argument(
        "--pattern",
        metavar="PATTERN",
        help="how the images in a folder are named, for example img_t{t:d}_c{c}_z{z:d}.png",
    )
    group.add_argument(
        "--follow-links",
        action="store_true",
        help="follow symbolic links that lead out of the dataset (only if you trust it)",
    )
    group.add_argument("--cache-dir", metavar="DIR", help="folder in which planes from servers are cached")
    group.add_argument(
        "--no-disk-cache", action="store_true", help="do not cache planes from servers on disk"
    )


def storage_options(options: argparse.Namespace) -> dict[str, str]:
    """The values of the options of `add_storage_options`, or of those of them that a command has.

    Raises `ValueError` for anything but NAME=VALUE.
    """
    told: dict[str, str] = {}
    for option in options.storage_option:
        name, equals, value = option.partition("=")
        if not equals or not name:
            raise ValueError(f"--storage-option {option}: expected NAME=VALUE")
        told[name] = value
    for name in ("format", "pattern"):
        if value := getattr(options, name, None):
            told[name] = value
    if options.follow_links:
        told["follow_links"] = "true"
    if folder := getattr(options, "cache_dir", None):
        told["cache_dir"] = os.path.abspath(os.path.expanduser(folder))
    if getattr(options, "no_disk_cache", False):
        told["disk_cache"] = "no"
    return told
