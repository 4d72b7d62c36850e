"""Icons that are bundled: no viewer asks the network for one."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from panel_eye import run_python

from ndviewer_light.gui.look.icon_files import ICONS, icon

pytestmark = pytest.mark.each_binding


def ndv_icon_keys():
    """The icon keys in the sources of the installed ndv's Qt views."""
    folder = Path(importlib.util.find_spec("ndv").origin).parent / "views" / "_qt"
    text = "\n".join(path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    return sorted(set(re.findall(r'"([a-z0-9]+:[a-z0-9]+(?:-[a-z0-9]+)*)"', text)))


def test_every_icon_of_ndv_is_bundled():
    keys = ndv_icon_keys()
    assert len(keys) >= 11
    assert [key for key in keys if not (ICONS / f"{key.replace(':', '--')}.svg").is_file()] == []


IN_OWN_COLOURS = {"blank", "ndviewer-light", "tick-black", "tick-white"}


@pytest.mark.parametrize("name", sorted({path.stem for path in ICONS.glob("*.svg")} - IN_OWN_COLOURS))
def test_an_icon_draws_in_the_colour_asked_for(qapp, name):
    picture = icon(name, "#ff8000").pixmap(32, 32).toImage()
    colors = [picture.pixelColor(x, y) for x in range(picture.width()) for y in range(picture.height())]
    drawn = [color for color in colors if color.alpha() > 200]
    assert drawn
    assert all(color.red() > 200 and color.blue() < 60 for color in drawn)


BANNED = """
    opened = []
    def audit(event, args):
        if event in ("socket.getaddrinfo", "socket.connect"):
            opened.append((event, args[-1] if event == "socket.connect" else args[0]))
            raise AssertionError(f"network: {event} {args}")
    import sys
    sys.addaudithook(audit)
"""


def test_building_a_viewer_opens_no_socket(tmp_path):
    code = (
        BANNED
        + """
    import warnings
    warnings.simplefilter("error")
    from qtpy.QtWidgets import QApplication
    app = QApplication([])
    from ndviewer_light.gui.look.icon_files import use_bundled_icons
    use_bundled_icons()
    use_bundled_icons()
    import ndv, numpy as np
    warnings.simplefilter("default")
    viewer = ndv.ArrayViewer(np.zeros((3, 2, 32, 32), np.uint16), channel_axis=1)
    viewer.show()
    app.processEvents()
    from superqt.iconify import QIconifyIcon
    icon = QIconifyIcon("bi:play-fill", color="#ff0000")
    picture = icon.pixmap(32, 32).toImage()
    print(picture.pixelColor(14, 16).name(), len(opened))
    viewer.close()
    """
    )
    done = run_python(code, PYCONIFY_CACHE=str(tmp_path), NDV_CANVAS_BACKEND="vispy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["#ff0000", "0"]


def test_a_host_keeps_its_own_icons_and_ndv_never_reaches_the_network(tmp_path):
    code = (
        BANNED
        + """
    from pathlib import Path
    import superqt.iconify
    from qtpy.QtWidgets import QApplication
    app = QApplication([])
    asked = []
    def of_the_host(*key, **options):
        asked.append((key, options.get("rotate")))
        return Path("none.svg")
    superqt.iconify.svg_path = of_the_host
    from ndviewer_light.gui.look.icon_files import use_bundled_icons
    use_bundled_icons()
    once = superqt.iconify.svg_path
    use_bundled_icons()
    assert superqt.iconify.svg_path is once
    from superqt.iconify import QIconifyIcon
    QIconifyIcon("host:logo")
    QIconifyIcon("bi", "play-fill", rotate=90)
    QIconifyIcon("bi", "play-fill")
    exec("QIconifyIcon('new:in-some-later-ndv')", {"__name__": "ndv.views._qt", "QIconifyIcon": QIconifyIcon})
    print(asked)
    """
    )
    done = run_python(code, PYCONIFY_CACHE=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[(('host:logo',), None), (('bi', 'play-fill'), 90)]"
