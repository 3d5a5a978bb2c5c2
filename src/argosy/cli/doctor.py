"""`argosy doctor`: one page of what is well, what is not, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from argosy.doctor.finding import Finding


def doctor(
    file: Annotated[Path | None, typer.Argument(help="A fleet file that is to come up here: looked at too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts; stays stable.")] = False,
) -> None:
    """Look at this machine and its fleets; change nothing. Exit code 1 when something has failed."""
    import asyncio

    import msgspec

    from argosy.cli.fleets import read_environment
    from argosy.doctor.checkup import checkup

    findings = asyncio.run(checkup(read_environment(), file))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        print(page(findings))
    raise typer.Exit(int(any(finding.level == "fail" for finding in findings)))


def page(findings: Sequence[Finding]) -> str:
    lines, width = [], max(len(finding.check) for finding in findings)
    for finding in findings:
        lines.append(f"{finding.level.ljust(4)}  {finding.check.ljust(width)}  {finding.found}")
        if finding.cure:
            lines.append(f"{' ' * (width + 8)}→ {finding.cure}")
    counts = {level: sum(finding.level == level for finding in findings) for level in ("fail", "warn")}
    well = "nothing is wrong" if not any(counts.values()) else f"{counts['fail']} failed, {counts['warn']} to look at"
    return "\n".join([*lines, "", well])
