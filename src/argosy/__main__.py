"""`python -m argosy`: the same as the `argosy` command."""

from __future__ import annotations

from argosy.cli import main

if __name__ == "__main__":
    main()
