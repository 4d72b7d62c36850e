# What the commands in this folder need: system packages, a Python, virtual environments.
# Sourced, never run. Every step looks first and does only what is missing, so repeating is fast.

set -euo pipefail
unset PYTHONDONTWRITEBYTECODE # containers set it; tests start hundreds of processes, and each would compile all modules
cd "$(dirname "${BASH_SOURCE[0]}")/.."
checkout=$PWD

# a virtual display with software OpenGL, what the Qt wheels expect of the system, and xdpyinfo for vispy
SYSTEM_PACKAGES="xvfb xauth libgl1 libegl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon0
    libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-xinerama0
    x11-utils"

say() { echo "== $*"; }
fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

stage() { # stage NAME COMMAND…: run it, say what and how long
    local name=$1 begin=$SECONDS
    shift
    say "$name"
    "$@"
    say "$name: done in $((SECONDS - begin)) s"
}

in_background() { # in_background NAME COMMAND…: start it; what it says comes with `results`
    local output
    output=$(mktemp)
    "${@:2}" >"$output" 2>&1 &
    names+=("$1") running+=($!) outputs+=("$output")
}

results() { # wait for all that was started in the background, say what each said; fails if one of them failed
    local i status=0
    for i in "${!names[@]}"; do
        wait "${running[i]}" || status=$?
        say "${names[i]}:"
        cat "${outputs[i]}"
        rm "${outputs[i]}"
    done
    names=() running=() outputs=()
    return $status
}
names=() running=() outputs=()

is_installed() { # newer releases call libglib2.0-0 libglib2.0-0t64, and so on
    [[ "$(dpkg-query -W -f '${Status}\n' "$1" "$1t64" 2>/dev/null)" == *"install ok installed"* ]]
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

may_be_root() { # sudo may ask for the password where somebody is there to type it
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}

install_missing() { # install_missing PACKAGE…
    local package missing=()
    for package in "$@"; do is_installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} = 0 ] && return
    may_be_root || fail "These system packages are missing, and neither root nor sudo is at hand. Ask an administrator for" \
        "    apt-get install --no-install-recommends ${missing[*]}" "and run this again."
    say "installing ${missing[*]}"
    quietly as_root apt-get update
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

quietly() { # what COMMAND prints is only worth seeing if it fails
    local output
    output=$("$@" 2>&1) || fail "$output" "failed: $*"
}

is_debian() { command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; }

is_python() { # a version we run on
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null
}

find_python() { # sets `python`; $PYTHON overrides
    if [ -n "${PYTHON:-}" ]; then
        is_python "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.10 to 3.13."
        python=$PYTHON
        return
    fi
    for python in python3 python3.13 python3.12 python3.11 python3.10; do
        is_python "$python" && return
    done
    python=
}

python_packages() { # what the system still needs for a Python that can make virtual environments
    if [ -n "$python" ]; then
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    elif ! command -v python3 >/dev/null; then
        echo python3 python3-venv
    fi
}

system_packages() {
    find_python
    if is_debian; then
        # shellcheck disable=SC2046,SC2086 # lists
        install_missing $SYSTEM_PACKAGES $(python_packages)
        find_python
    else
        say "neither Debian nor Ubuntu: install what these stand for, if it is missing:" $SYSTEM_PACKAGES
    fi
    [ -n "$python" ] || fail "No Python 3.10 to 3.13 was found ($(python3 --version 2>&1 || true))." \
        "Debian 12, Ubuntu 22.04 and later have one; otherwise set PYTHON to the path of yours and run this again."
}

fingerprint() { # changes when anything changes that an installation depends on
    { cat pyproject.toml .ci/setup.sh; echo "$checkout $*"; "$1/bin/python" -VV; } | cksum
}

is_current() { # is_current VENV WHAT…: WHAT is installed in VENV, as far as we know
    [ -f "$1/.installed-$2" ] && [ "$(fingerprint "$@" 2>/dev/null)" = "$(cat "$1/.installed-$2")" ]
}

remember() { fingerprint "$@" >"$1/.installed-$2"; }

make_venv() {
    "$1/bin/python" -m pip --version >/dev/null 2>&1 && return
    say "$1 with $("$python" --version)"
    "$python" -m venv --clear "$1"
}

pip_install() { # pip_install VENV REQUIREMENT…
    local venv=$1
    shift
    # modules are compiled when they are used, most of them never
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}

app_environment() { # the viewer alone, in .venv
    is_current .venv dev || is_current .venv app && return
    make_venv .venv
    pip_install .venv --editable .
    remember .venv app
}

dev_environment() { # the viewer under PyQt6, its tests and the tools that check it, in .venv
    is_current .venv dev && return
    make_venv .venv
    pip_install .venv --editable '.[dev]'
    remember .venv dev
}

pyqt5_environment() { # the viewer and its tests under PyQt5, with the oldest vispy we support,
    # in .venv-pyqt5; comes after dev_environment, which knows the requirements
    is_current .venv-pyqt5 test && return
    make_venv .venv-pyqt5
    local requirements
    mapfile -t requirements < <(.venv/bin/python .ci/requirements.py test)
    # later Pythons have no wheel of vispy 0.14
    pip_install .venv-pyqt5 "${requirements[@]}" 'PyQt5>=5.15,<6' 'vispy==0.14.3;python_version<"3.13"'
    pip_install .venv-pyqt5 --no-deps --editable .
    remember .venv-pyqt5 test
}

writers_environment() { # the libraries that write while tests look on, in .venv-writers: not all can live with ours
    is_current .venv-writers writers && return
    make_venv .venv-writers
    local requirements
    mapfile -t requirements < <(.venv/bin/python .ci/requirements.py writers)
    pip_install .venv-writers "${requirements[@]}"
    remember .venv-writers writers
}

docs_environment() { # what builds the site, in .venv-docs; it reads the package, and needs nothing of it
    is_current .venv-docs docs && return
    make_venv .venv-docs
    local requirements
    mapfile -t requirements < <(.venv/bin/python .ci/requirements.py docs)
    pip_install .venv-docs "${requirements[@]}"
    remember .venv-docs docs
}

docs_site() { # in build/site; a link that leads nowhere, a name that is not there, is an error (not with --quiet)
    NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --config-file docs/site/mkdocs.yml
}

on_a_display() { # on_a_display COMMAND…: on a virtual one, of a size that the tests can count on
    # FIRST_DISPLAY: two that look for a free number at the same time must not find the same
    local runtime status=0
    runtime=$(mktemp -d)
    env -u WAYLAND_DISPLAY QT_QPA_PLATFORM=xcb XDG_RUNTIME_DIR="$runtime" \
        xvfb-run -a -n "${FIRST_DISPLAY:-99}" -s '-screen 0 1920x1200x24' "$@" || status=$?
    rm -rf "$runtime"
    return $status
}
