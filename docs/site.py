"""A hook of mkdocs: pages may link to files of the repository outside docs/, which are then part of the site.

Owns that translation, nothing else. Without it, a link such as ../../examples/fleet.yaml works where the repository is
read, and is broken on the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\]\((?P<target>(?:\.\./)+[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
_OUTSIDE = ("README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
_FOLDERS = ("examples", "benchmarks", "deploy")


def on_files(files: Any, config: Any) -> Any:
    """Adds what pages link to, as files to be read or downloaded as they are."""
    from mkdocs.structure.files import File  # noqa: PLC0415 - mkdocs is there only where it builds

    root = Path(config.config_file_path).parent
    found = [root / name for name in _OUTSIDE]
    found += [each for folder in _FOLDERS for each in sorted((root / folder).iterdir()) if each.is_file()]
    for path in found:
        if path.is_file():
            files.append(File.generated(config, _place(path.relative_to(root).as_posix()), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turns links that leave docs/ into links to those files."""
    folder = posixpath.dirname(page.file.src_uri)

    def replaced(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join("docs", folder, link["target"]))
        if target.startswith(("docs/", "..")):
            return link[0]
        return f"]({posixpath.relpath(_place(target), folder or '.')})"

    return _LINK.sub(replaced, markdown)


def _place(path: str) -> str:
    """Where a file of the repository lies in the site; as text, so that no page is made of it."""
    return f"repository/{path}" + (
        ".txt" if path.endswith((".md", ".py", ".yaml", ".service")) or "." not in path else ""
    )
