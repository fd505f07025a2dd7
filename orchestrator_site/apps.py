import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from django.apps import AppConfig


class OrchestratorSiteConfig(AppConfig):
    """The last of the apps: it is made before the models of any are loaded, and ready after all others."""

    name = "orchestrator_site"
    verbose_name = "Accounts"
    collects_garbage = False

    def __init__(self, app_name: str, app_module: ModuleType | None) -> None:
        super().__init__(app_name, app_module)
        # What is loaded from here on stays: looking through it for garbage takes an eighth of a process's start.
        self.collects_garbage = gc.isenabled()
        gc.disable()
        # REST framework loads what it finds of these, a fifth of a second's work, for a test client and pages of its
        # own that we don't have. They are here only because apprise needs them, which is loaded when it has to send.
        with hidden("requests", "markdown"):
            import_module("rest_framework.compat")

    def ready(self) -> None:
        if self.collects_garbage:
            gc.freeze()
            gc.enable()


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Have an import of these fail, unless they are loaded already."""
    missing = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]  # None says that there is no such module
    try:
        yield
    finally:
        for name in missing:
            sys.modules.pop(name, None)
