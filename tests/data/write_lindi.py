"""The references of an NWB file as lindi 0.4.6 writes them: tests/data/lindi/two_series.lindi.json.

    python -m tests.data.write_lindi

lindi needs zarr 2, so it is run in an environment of its own. Small arrays are stored in the file itself.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import lindi
import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from hdf5_files import write_nwb  # noqa: E402

FRAMES = np.arange(4 * 12 * 10, dtype=np.uint16).reshape(4, 12, 10)
PLANE = {
    **{"indicator": "GCaMP6f", "excitation_lambda": 920.0, "emission_lambda": 510.0},
    **{"grid_spacing": [2e-6, 3e-6], "unit": "meters"},
}
SERIES = {
    "images": {"data": FRAMES, "plane": PLANE, "rate": 30.0},
    "timed": {"data": FRAMES + 1, "timestamps": [0.0, 0.5, 1.0, 1.5]},
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_nwb(Path(folder, "a.nwb"), **SERIES)
        file = lindi.LindiH5pyFile.from_hdf5_file(str(path), url="https://example.org/a.nwb")
        (HERE / "lindi").mkdir(exist_ok=True)
        file.write_lindi_file(str(HERE / "lindi" / "two_series.lindi.json"))


if __name__ == "__main__":
    main()
