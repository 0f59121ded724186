"""Which of the packages that models need are installed, and what is said of one that is not."""

from __future__ import annotations

from importlib.util import find_spec


def is_installed(package: str) -> bool:
    """Whether ``package`` can be imported; it is not."""
    try:
        return find_spec(package) is not None
    except ImportError:
        return False
    except ValueError:  # it is imported, and was made by hand, as tests do
        return True


def needed(package: str, extra: str, resource: str) -> None:
    """Raise an ``ImportError`` that names the extra if ``package`` is not there."""
    if not is_installed(package):
        raise ImportError(f"{resource} needs the package {package}: pip install 'hushflow[{extra}]'", name=package)
