"""A deployment's own chat template: told from a file's name, and read from that file. Its Jinja is for the engine."""

from __future__ import annotations

from pathlib import Path

_LARGEST = 1024 * 1024  # bytes; those of real models have some 10,000


def is_template(text: str) -> bool:
    """Whether it is a template's text; else it is the path of one."""
    return "{" in text or "\n" in text


def read(path: Path) -> str:
    """Raises ValueError, in a sentence, for what is no template."""
    try:
        if (size := path.stat().st_size) > _LARGEST:
            raise ValueError(f"{path} has {size} bytes: that is no chat template")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"no such file: {path} (a template's own text has a '{{' in it)") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if "{" not in text:
        raise ValueError(f"{path} {'has no { in it: it is no chat template' if text.strip() else 'is empty'}")
    return text
