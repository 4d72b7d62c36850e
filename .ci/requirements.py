"""Print requirements that the installed package names, one a line.

requirements.py test    what it requires itself and for its tests, but PyQt6: for another Qt binding
requirements.py EXTRA   what another extra (docs, writers) requires, and nothing else
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import requires

extra = sys.argv[1]
for line in requires("ndviewer_light") or []:
    requirement, _, marker = line.partition(";")
    is_of_extra = f'extra == "{extra}"' in marker.replace("'", '"')
    is_own = not marker and extra == "test"
    if (is_of_extra or is_own) and not re.match(r"PyQt6\b", requirement, re.IGNORECASE):
        when = re.sub(r"""(\band\b)?\s*extra == ['"].*?['"]""", "", marker).strip()
        print(f"{requirement.replace(' ', '')};{when}".rstrip(";"))
