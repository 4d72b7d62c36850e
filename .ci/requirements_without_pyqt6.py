"""Print what the installed package and its tests require, one word each, without PyQt6.

For the environment in which another Qt binding takes its place.
"""

from __future__ import annotations

import re
from importlib.metadata import requires

for line in requires("ndviewer_light") or []:
    requirement, _, marker = line.partition(";")
    is_wanted = not marker or 'extra == "test"' in marker.replace("'", '"')
    if is_wanted and not re.match(r"PyQt6\b", requirement, re.IGNORECASE):
        print(requirement.replace(" ", ""))
