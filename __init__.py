"""Door for hosts that use this checkout as a package: ``from control import ndviewer_light``.

Everything is in the package of the same name below; names load when first used.
"""

from __future__ import annotations

from typing import Any

try:
    from . import ndviewer_light as _package
except ImportError:  # collected by a tool as a plain module, outside any package
    import ndviewer_light as _package

__all__ = _package.__all__


def __getattr__(name: str) -> Any:
    return getattr(_package, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_package.__all__})
