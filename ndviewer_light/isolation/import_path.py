"""Where a reader process may import code from: the host's packages, never data folders.

The working directory, and the folder of the host's main program, may be the folder of a
dataset; a `json.py` there must not run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import site
import sys


def interpreter_arguments() -> list[str]:
    """Options for a Python that ignores environment variables and implicit folders."""
    arguments = ["-I", "-X", f"utf8={sys.flags.utf8_mode}"]
    if sys.flags.dont_write_bytecode:
        arguments.append("-B")
    return arguments


def reader_path() -> list[str]:
    """`sys.path` for a reader process: absolute, without folders that may contain data.

    The entry that contains numpy is always kept: the host's packages are there. The standard library comes
    first: a folder in which a host has its checkouts may have one named like a module.
    """
    allowed = {_real(folder) for folder in _package_folders()}
    refused = {_real(folder) for folder in _data_folders()} - allowed
    kept = []
    for entry in map(os.fsdecode, sys.path):  # hosts put Path objects there
        with contextlib.suppress(OSError):  # relative, and the working directory was removed
            if entry and _real(entry) not in refused:
                kept.append(os.path.abspath(entry))
    standard = _standard_library()
    return sorted(kept, key=lambda entry: _real(entry) not in standard)  # otherwise in the host's order


def _standard_library() -> set[str]:
    folder = os.path.dirname(os.__file__)
    return {_real(each) for each in (folder, os.path.join(folder, "lib-dynload"))}


def _package_folders() -> list[str]:
    numpy = importlib.util.find_spec("numpy")  # importing it would take as long as starting the process
    folders = [os.path.dirname(os.__file__)]
    if numpy is not None and numpy.origin is not None:
        folders.append(os.path.dirname(os.path.dirname(os.path.abspath(numpy.origin))))
    for of_site in ("getsitepackages", "getusersitepackages"):  # a frozen program has neither
        found: str | list[str] = getattr(site, of_site, list)()
        folders += [found] if isinstance(found, str) else found
    return folders


def _data_folders() -> list[str]:
    folders = []
    with contextlib.suppress(OSError):  # it has been removed
        folders.append(os.getcwd())
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    if program:
        folders.append(os.path.dirname(os.path.abspath(program)))
    return folders


def _real(folder: str) -> str:
    try:
        return os.path.normcase(os.path.realpath(folder))
    except (OSError, ValueError):
        return folder
