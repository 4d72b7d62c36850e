"""The desktop shortcut: what is written for each system, and that what is written starts the viewer."""

from __future__ import annotations

import base64
import plistlib
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ndviewer_light.__main__ import main
from ndviewer_light.cli import shortcut
from ndviewer_light.cli.shortcut import Launch

PNG = (Path(shortcut.__file__).parents[1] / "gui" / "look" / "icons" / "ndviewer-light.png").read_bytes()
AWKWARD = [
    pytest.param("plain", id="plain"),
    pytest.param("with spaces", id="spaces"),
    pytest.param("100% done %F", id="per cents"),
    pytest.param("a=b", id="equals"),
    pytest.param("a $HOME `id` \"quoted\" 'so'", id="shell"),
    pytest.param("back\\slash", id="backslash"),
    pytest.param("(a) & <b>; c* ~ # ? |", id="reserved"),
    pytest.param("Müller µ", id="not ASCII"),
]
on_unix = pytest.mark.skipif(sys.platform == "win32", reason="runs a shell script")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet."""
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def linux(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "platform", "linux")
    return home


@pytest.fixture
def mac(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "platform", "darwin")
    return home


def recorder(folder: Path) -> Path:
    """A program in `folder` that writes its arguments, one a line, to ``said`` beside itself."""
    folder.mkdir(parents=True)
    program = folder / "ndviewer-light"
    program.write_text('#!/bin/sh\nfor argument; do printf "%s\\n" "$argument"; done > "${0%/*}/said"\n')
    program.chmod(0o755)
    return program


# ---- what is started ------------------------------------------------------------------------


def test_the_command_beside_python_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = recorder(tmp_path / "bin")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert shortcut.launch_target() == Launch((str(program),))


def test_else_the_command_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = recorder(tmp_path / "elsewhere")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(program.parent))
    assert shortcut.launch_target() == Launch((str(program),))


def test_else_python_with_the_package_from_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = str(tmp_path / "python")
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setenv("PATH", str(tmp_path))
    launch = shortcut.launch_target()
    assert launch.command == (python, "-m", "ndviewer_light")
    assert (Path(launch.folder) / "ndviewer_light" / "__main__.py").is_file()


# ---- Linux ----------------------------------------------------------------------------------


def entry_of(path: Path) -> dict[str, str]:
    """What a desktop entry says, its one level of escapes undone."""
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    assert first == "[Desktop Entry]"
    return {key: value.replace("\\\\", "\\") for key, value in (line.split("=", 1) for line in lines)}


def test_the_entry_is_among_the_applications_and_may_be_started(linux: Path) -> None:
    (path,) = shortcut.install()
    assert path == linux / ".local/share/applications/ndviewer-light.desktop"
    assert path.stat().st_mode & 0o777 == 0o755
    entry = entry_of(path)
    assert (entry["Type"], entry["Name"], entry["Terminal"]) == ("Application", "NDViewer Light", "false")
    assert entry["MimeType"] == "inode/directory;"
    assert entry["Exec"].endswith(" %F")
    assert Path(entry["Icon"]).read_text().startswith("<svg")


def test_the_data_folder_may_be_elsewhere(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(linux / "data"))
    assert shortcut.install() == [linux / "data/applications/ndviewer-light.desktop"]


def test_a_data_folder_that_is_not_absolute_is_ignored(linux: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert shortcut.install() == [linux / ".local/share/applications/ndviewer-light.desktop"]


DESKTOPS = [
    pytest.param(None, "Desktop", "Desktop", id="by default"),
    pytest.param('XDG_DESKTOP_DIR="$HOME/Schreib tisch"', "Schreib tisch", "Schreib tisch", id="named"),
    pytest.param('# XDG_DESKTOP_DIR="$HOME/Old"', "Desktop", "Desktop", id="a comment"),
    pytest.param('XDG_DESKTOP_DIR="$HOME/"', "Desktop", None, id="switched off"),
    pytest.param('XDG_DESKTOP_DIR="$HOME/Gone"', "Desktop", None, id="not there"),
]


@pytest.mark.parametrize(("setting", "folder", "expected"), DESKTOPS)
def test_a_copy_is_on_the_desktop_if_there_is_one(
    linux: Path, setting: str | None, folder: str, expected: str | None
) -> None:
    (linux / folder).mkdir()
    if setting is not None:
        (linux / ".config").mkdir()
        (linux / ".config" / "user-dirs.dirs").write_text(f'XDG_MUSIC_DIR="$HOME/Music"\n{setting}\n')
    menu, *copies = shortcut.install()
    assert copies == ([linux / expected / "ndviewer-light.desktop"] if expected else [])
    assert all(copy.read_bytes() == menu.read_bytes() for copy in copies)
    assert not list(linux.glob("*.desktop"))


@on_unix
@pytest.mark.parametrize("folder", AWKWARD)
def test_what_the_desktop_starts_is_the_viewer_with_what_was_dropped(
    linux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    gio = shutil.which("gio")
    if gio is None or subprocess.run([gio, "help", "launch"], capture_output=True).returncode != 0:
        pytest.skip("no gio that can launch")
    program, data = recorder(tmp_path / folder), tmp_path / "data 100% $HOME"
    data.mkdir()
    monkeypatch.setattr(sys, "executable", str(program.parent / "python"))
    (path,) = shortcut.install()
    said = program.parent / "said"
    subprocess.run([gio, "launch", str(path), str(data)], check=True, timeout=60, capture_output=True)
    wait_for(said)
    assert said.read_text() == f"{data}\n"


def wait_for(path: Path) -> None:
    """Wait until `path`, which another process writes, ends with a line end."""
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.02)


def test_escapes_are_those_of_the_specification() -> None:
    launch = Launch(('/a b/"$`\\/python', "-m", "100%"), "/co\\py")
    lines = shortcut.desktop_entry(launch, "/i\\con.svg").splitlines()
    assert 'Exec="/a b/\\\\"\\\\$\\\\`\\\\\\\\/python" -m "100%%" %F' in lines
    assert "Path=/co\\\\py" in lines
    assert "Icon=/i\\\\con.svg" in lines


@pytest.mark.parametrize("folder", AWKWARD)
def test_the_entry_is_valid(
    linux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    validate = shutil.which("desktop-file-validate")
    if validate is None:
        pytest.skip("needs desktop-file-utils")
    monkeypatch.setattr(sys, "executable", str(recorder(tmp_path / folder).parent / "python"))
    (path,) = shortcut.install()
    done = subprocess.run([validate, str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


# ---- macOS ----------------------------------------------------------------------------------


def test_the_application_says_who_it_is(mac: Path) -> None:
    (bundle,) = shortcut.install()
    assert bundle == mac / "Applications" / "NDViewer Light.app"
    info = plistlib.loads((bundle / "Contents" / "Info.plist").read_bytes())
    assert (info["CFBundleIdentifier"], info["CFBundleName"]) == (
        "com.cephla.ndviewer-light",
        "NDViewer Light",
    )
    program = bundle / "Contents" / "MacOS" / info["CFBundleExecutable"]
    assert program.stat().st_mode & 0o777 == 0o755
    icon = (bundle / "Contents" / "Resources" / f"{info['CFBundleIconFile']}.icns").read_bytes()
    assert icon[:4] == b"icns"
    assert int.from_bytes(icon[4:8], "big") == len(icon)
    assert icon.endswith(PNG)


@on_unix
@pytest.mark.parametrize("folder", AWKWARD)
def test_what_the_application_starts_is_the_viewer(
    mac: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    program = recorder(tmp_path / folder)
    monkeypatch.setattr(sys, "executable", str(program.parent / "python"))
    (bundle,) = shortcut.install()
    script = bundle / "Contents" / "MacOS" / "ndviewer-light"
    subprocess.run([script, "/data 1", "/data 2"], check=True, timeout=60)
    assert (program.parent / "said").read_text() == "/data 1\n/data 2\n"


def test_what_only_has_the_name_of_the_application_is_left_alone(mac: Path) -> None:
    other = mac / "Applications" / "NDViewer Light.app"
    other.mkdir(parents=True)
    (other / "notes.txt").write_text("mine")
    for change in (shortcut.install, shortcut.uninstall):
        with pytest.raises(FileExistsError, match="was not created by this viewer"):
            change()
    assert (other / "notes.txt").read_text() == "mine"


# ---- Windows --------------------------------------------------------------------------------


def test_the_script_for_windows_quotes_what_stands_in_it() -> None:
    launch = Launch((r"C:\Program Files\O'Neil’s $x\python.exe", "-m", "a b"), "C:\\copy")
    script = shortcut.link_script(launch, r"C:\i.ico")
    assert r"$link.TargetPath = 'C:\Program Files\O''Neil’’s $x\python.exe'" in script
    assert """$link.Arguments = '-m "a b"'""" in script
    assert r"$link.WorkingDirectory = 'C:\copy'" in script
    assert r"$link.IconLocation = 'C:\i.ico,0'" in script
    assert "'NDViewer Light.lnk'" in script


@pytest.fixture
def powershell(tmp_path: Path) -> Path:
    """Notes what it is called with, and answers with the path of a link; fails if ``fail`` is beside it."""
    program = tmp_path / "bin" / "powershell"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\necho "$*" > "${0%/*}/said"\n'
        'if [ -e "${0%/*}/fail" ]; then echo "no such shell" >&2; exit 1; fi\n'
        "printf '/users/mü/NDViewer Light.lnk\\r\\n'\n"
    )
    program.chmod(0o755)
    return program


@on_unix
def test_the_script_reaches_powershell_as_it_is(powershell: Path) -> None:
    script = shortcut.link_script(Launch(("C:\\a 'b'.exe",)), "C:\\i.ico")
    assert shortcut.run_powershell(script, str(powershell)) == [Path("/users/mü/NDViewer Light.lnk")]
    *options, encoded = (powershell.parent / "said").read_text().split()
    assert options == ["-NoProfile", "-NonInteractive", "-EncodedCommand"]
    assert base64.b64decode(encoded).decode("utf-16-le") == script


@on_unix
def test_what_powershell_complains_of_is_said(powershell: Path) -> None:
    (powershell.parent / "fail").touch()
    with pytest.raises(OSError, match="PowerShell: no such shell"):
        shortcut.run_powershell(shortcut.removal_script(), str(powershell))


def test_the_icon_for_windows_holds_the_picture() -> None:
    icon = shortcut.ico(PNG)
    assert icon[:6] == b"\0\0\1\0\1\0"  # an icon, one picture
    size, offset = (int.from_bytes(icon[i : i + 4], "little") for i in (14, 18))
    assert icon[offset : offset + size] == PNG
    assert offset + size == len(icon)


# ---- as a command ---------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["linux", "darwin"])
def test_the_command_says_what_it_wrote_and_what_it_removed(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    (home / "Desktop").mkdir()
    for argument, verb in (("--install-shortcut", "wrote"), ("--uninstall-shortcut", "removed")):
        with pytest.raises(SystemExit) as end:
            main([argument])
        assert not end.value.code
        lines = capsys.readouterr().out.splitlines()
        assert lines
        assert all(line.startswith(f"{verb} {home}") for line in lines)
        assert all(Path(line.split(" ", 1)[1]).exists() == (verb == "wrote") for line in lines)
    with pytest.raises(SystemExit):
        main(["--uninstall-shortcut"])
    assert capsys.readouterr().out == "no shortcut is installed\n"


def test_the_command_says_what_is_in_the_way(linux: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (linux / ".local").touch()
    with pytest.raises(SystemExit) as end:
        main(["--install-shortcut"])
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert re.match(r"ndviewer-light: the shortcut could not be changed: /.*local.*: [A-Z]", said)


def test_making_a_shortcut_needs_neither_display_nor_qt(home: Path) -> None:
    code = (
        "import sys, ndviewer_light.__main__ as m\n"
        "try: m.main(['--install-shortcut'])\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'qtpy', 'PyQt6', 'PyQt5', 'numpy'} & sys.modules.keys()\n"
    )
    root = Path(shortcut.__file__).parents[1]
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin"}
    subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, check=True, timeout=60)
