"""Functions that hosts and scripts import by name from `ndviewer_light.core`."""
