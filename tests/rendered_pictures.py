"""What ``ndviewer-light render`` says and writes."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ndviewer_light.cli.render import main


def rendered(capsys, *arguments, status=0):
    assert main([str(each) for each in arguments]) == status
    return capsys.readouterr()


def picture_in(path):
    with Image.open(path) as picture:
        return np.asarray(picture).astype(int)
