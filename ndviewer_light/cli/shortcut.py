"""Installs and removes a shortcut to the viewer: ``ndviewer-light --install-shortcut``.

Implemented here because entries of pyshortcuts 1.9 do not start: it quotes neither spaces nor percent
signs, alters the name, ignores ``XDG_DATA_HOME``, and cannot remove its shortcuts. On Windows it
would also need pywin32, where a line of PowerShell is enough.
"""

from __future__ import annotations

import base64
import contextlib
import os
import plistlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from xml.parsers.expat import ExpatError

NAME = "NDViewer Light"
_PROGRAM = "ndviewer-light"
_BUNDLE_ID = "com.cephla.ndviewer-light"
_COMMENT = "View n-dimensional microscopy data"
_ICONS = Path(__file__).parents[1] / "gui" / "look" / "icons"
_PATIENCE_S = 60


class Launch(NamedTuple):
    """How the viewer is started: program with arguments, and working folder ("": any)."""

    command: tuple[str, ...]
    folder: str = ""


def install() -> list[Path]:
    """Create the shortcut, or update it; returns the files written.

    Raises `OSError` if something cannot be written.
    """
    if sys.platform == "win32":
        icon = _windows_icon()
        icon.parent.mkdir(parents=True, exist_ok=True)
        icon.write_bytes(ico(_png()))
        return [icon, *run_powershell(link_script(launch_target(), str(icon)))]
    if sys.platform == "darwin":
        return _write_bundle(_bundle(), bundle_files(launch_target(), _png()))
    entry = desktop_entry(launch_target(), str(_ICONS / f"{_PROGRAM}.svg"))
    return [_write_entry(path, entry) for path in _entries()]


def uninstall() -> list[Path]:
    """Remove the shortcut; returns the files removed. Raises `OSError` if that fails."""
    if sys.platform == "win32":
        removed = run_powershell(removal_script())
        return [*removed, *_removed([_windows_icon()])]
    if sys.platform == "darwin":
        return _remove_bundle(_bundle())
    return _removed(_entries())


def launch_target() -> Launch:
    """The command installed beside this Python, else on PATH, else this Python with ``-m``."""
    beside = Path(sys.executable).parent / (f"{_PROGRAM}.exe" if sys.platform == "win32" else _PROGRAM)
    if beside.is_file() and os.access(beside, os.X_OK):
        return Launch((str(beside),))
    on_path = shutil.which(_PROGRAM)
    if on_path is not None:
        return Launch((os.path.abspath(on_path),))
    folder = str(Path(__file__).resolve().parents[2])  # where the package is found, installed or not
    return Launch((sys.executable, "-m", "ndviewer_light"), folder)


def _png() -> bytes:
    return (_ICONS / f"{_PROGRAM}.png").read_bytes()


def _removed(paths: list[Path]) -> list[Path]:
    there = [path for path in paths if path.is_file()]
    for path in there:
        path.unlink()
    return there


# ---- Linux: desktop entries ----------------------------------------------------------------


def _entries() -> list[Path]:
    """Where the entry goes: the user's applications, and the desktop if there is one."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if not data.is_absolute():  # the specification says to ignore relative paths
        data = home / ".local" / "share"
    folders = [data / "applications"]
    desktop = _desktop_folder(home)
    if desktop != home and desktop.is_dir():
        folders.append(desktop)
    return [folder / f"{_PROGRAM}.desktop" for folder in folders]


def _desktop_folder(home: Path) -> Path:
    """As configured in ``xdg-user-dirs``; the home folder itself means the desktop is switched off."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = (config / "user-dirs.dirs").read_text(encoding="utf-8")
        named = re.search(r'^\s*XDG_DESKTOP_DIR="(\$HOME)?(/[^"]*)"', text, re.MULTILINE)
        if named is not None:
            path = re.sub(r"\\(.)", r"\1", named[2])
            return home / path.strip("/") if named[1] else Path(path)
    return home / "Desktop"


def desktop_entry(launch: Launch, icon: str) -> str:
    """The text of a desktop entry (Desktop Entry Specification)."""
    # the specification forbids = in the program's path, and GNOME checks it with doubled percent signs
    by_shell = ("/bin/sh", "-c", 'exec "$0" "$@"') if re.search("[=%]", launch.command[0]) else ()
    command = " ".join(map(_quoted, (*by_shell, *launch.command)))
    lines = {
        "Type": "Application",
        "Version": "1.0",
        "Name": NAME,
        "GenericName": "Microscopy viewer",
        "Comment": _COMMENT,
        "Exec": _escaped(f"{command} %F"),
        "Path": _escaped(launch.folder),
        "Icon": _escaped(icon),
        "Terminal": "false",
        "Categories": "Graphics;Viewer;",
        "MimeType": "inode/directory;",
    }
    return "\n".join(["[Desktop Entry]", *(f"{key}={value}" for key, value in lines.items() if value), ""])


def _quoted(argument: str) -> str:
    """An argument of ``Exec``: percent signs doubled, quoted where necessary."""
    if re.fullmatch(r"[A-Za-z0-9_./:+,@-]+", argument):
        return argument
    return '"' + re.sub(r'(["`$\\])', r"\\\1", argument).replace("%", "%%") + '"'


def _escaped(value: str) -> str:
    """A value as written in the file; readers unescape it before they parse quotes."""
    for character, escape in (("\\", r"\\"), ("\n", r"\n"), ("\r", r"\r"), ("\t", r"\t")):
        value = value.replace(character, escape)
    return value if not value.startswith(" ") else rf"\s{value[1:]}"


def _write_entry(path: Path, entry: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(entry, encoding="utf-8")
    path.chmod(0o755)  # desktops only start executable files
    gio = shutil.which("gio")
    if gio is not None:  # GNOME asks before it starts an untrusted file
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            command = [gio, "set", str(path), "metadata::trusted", "true"]
            subprocess.run(command, check=False, capture_output=True, timeout=_PATIENCE_S)
    return path


# ---- Windows: a link, created by PowerShell -------------------------------------------


def _windows_icon() -> Path:
    local = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    return Path(local) / NAME / f"{_PROGRAM}.ico"


_LINK = f"""\
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = [System.Text.Encoding]::UTF8
$path = Join-Path ([Environment]::GetFolderPath('Desktop')) '{NAME}.lnk'
"""


def link_script(launch: Launch, icon: str) -> str:
    """The PowerShell script that puts the link on the desktop and prints its path."""
    program, *arguments = launch.command
    properties = {
        "TargetPath": program,
        "Arguments": subprocess.list2cmdline(arguments),
        "WorkingDirectory": launch.folder,
        "IconLocation": f"{icon},0",
        "Description": _COMMENT,
    }
    lines = [f"$link.{name} = {_powershell_quoted(value)}" for name, value in properties.items() if value]
    make = "$link = (New-Object -ComObject WScript.Shell).CreateShortcut($path)"
    return _LINK + "\n".join([make, *lines, "$link.Save()", "Write-Output $path", ""])


def removal_script() -> str:
    """The PowerShell script that removes the link and prints its path, if there is one."""
    remove = "Remove-Item -LiteralPath $path; Write-Output $path"
    return f"{_LINK}if (Test-Path -LiteralPath $path) {{ {remove} }}\n"


def _powershell_quoted(text: str) -> str:
    # PowerShell treats curly quotes as quotes, too
    return "'" + re.sub("(['\u2018-\u201b])", r"\1\1", text) + "'"


def run_powershell(script: str, program: str = "powershell") -> list[Path]:
    """Run `script` and return the paths it prints, one per line; `OSError` with its output if it fails."""
    encoded = base64.b64encode(
        script.encode("utf-16-le")
    ).decode()  # encoded, so that no quoting can go wrong
    command = [program, "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise OSError(f"PowerShell did not finish within {_PATIENCE_S} s") from error
    if done.returncode != 0:
        raise OSError(f"PowerShell: {done.stderr.decode(errors='replace').strip()}")
    return [Path(line) for line in done.stdout.decode("utf-8-sig").splitlines() if line.strip()]


def ico(png: bytes) -> bytes:
    """A Windows icon containing a 256×256 px PNG."""
    header = struct.pack("<HHH", 0, 1, 1)
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(png), len(header) + 16)  # 0 means 256 px
    return header + entry + png


# ---- macOS: an application ------------------------------------------------------------------


def _bundle() -> Path:
    return Path.home() / "Applications" / f"{NAME}.app"


def bundle_files(launch: Launch, png: bytes) -> dict[str, bytes]:
    """The files of the application, by path inside the bundle."""
    from .. import __version__

    info = {
        "CFBundleDevelopmentRegion": "en",
        "CFBundleDisplayName": NAME,
        "CFBundleExecutable": _PROGRAM,
        "CFBundleIconFile": _PROGRAM,
        "CFBundleIdentifier": _BUNDLE_ID,
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleName": NAME,
        "CFBundlePackageType": "APPL",
        "CFBundleShortVersionString": __version__,
        "CFBundleVersion": __version__,
        "NSHighResolutionCapable": True,
    }
    go = f"cd {shlex.quote(launch.folder)} || exit\n" if launch.folder else ""
    script = f'#!/bin/sh\n{go}exec {shlex.join(launch.command)} "$@"\n'
    return {
        "Contents/Info.plist": plistlib.dumps(info),
        f"Contents/MacOS/{_PROGRAM}": script.encode(),
        f"Contents/Resources/{_PROGRAM}.icns": icns(png),
    }


def icns(png: bytes) -> bytes:
    """A macOS icon containing a 256×256 px PNG."""
    part = b"ic08" + struct.pack(">I", 8 + len(png)) + png
    return b"icns" + struct.pack(">I", 8 + len(part)) + part


def _write_bundle(bundle: Path, files: dict[str, bytes]) -> list[Path]:
    _remove_bundle(bundle)
    for name, content in files.items():
        path = bundle / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (bundle / "Contents" / "MacOS" / _PROGRAM).chmod(0o755)
    return [bundle]


def _remove_bundle(bundle: Path) -> list[Path]:
    """Remove the application if it is ours; `FileExistsError` if something else has its name."""
    if not bundle.exists():
        return []
    if not _is_ours(bundle):
        raise FileExistsError(f"{bundle} exists and was not created by this viewer: move it away first")
    shutil.rmtree(bundle)
    return [bundle]


def _is_ours(bundle: Path) -> bool:
    try:
        info = plistlib.loads((bundle / "Contents" / "Info.plist").read_bytes())
    except (OSError, ValueError, ExpatError):
        return False
    return isinstance(info, dict) and info.get("CFBundleIdentifier") == _BUNDLE_ID
