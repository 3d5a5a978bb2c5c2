"""What a Python environment is made of, as a fleet file says it: a value, and what may be in it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from argosy.config.values import check_url

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REQUIREMENT = re.compile(rf"{_NAME}\s*(?:\[[^\]]*\])?\s*(?:[<>=!~;@(].*)?")


def _check_python(version: str) -> str:
    if not re.fullmatch(r"3\.[1-9][0-9]?", version):
        raise ValueError(f'{version!r} is no version of Python; write one such as "3.11"')
    return version


def _check_requirement(text: str) -> str:
    """One as pip takes it, and no option of pip's. Raises ValueError."""
    if not _REQUIREMENT.fullmatch(text.strip()) or "\n" in text:
        raise ValueError(
            f'{text!r} is no requirement; write one such as "vllm==0.33.0" or "name @ https://…/name-1.0-py3-none-any.whl"'
        )
    return text.strip()


def _check_some(requirements: tuple[str, ...]) -> tuple[str, ...]:
    if not requirements:
        raise ValueError("must name a package")
    return requirements


def _check_package(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"{name!r} is no package's name; write one such as torchvision")
    return name


class EnvironmentRecipe(BaseModel):
    """A Python environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: Annotated[str, AfterValidator(_check_python)] | None = Field(
        None, description='such as "3.11", on this machine or fetched by uv (default: the Python that runs Argosy)'
    )
    requirements: Annotated[
        tuple[Annotated[str, AfterValidator(_check_requirement)], ...], AfterValidator(_check_some)
    ] = Field(description="what is installed, as pip takes it: name==version, or name @ URL")
    without: tuple[Annotated[str, AfterValidator(_check_package)], ...] = Field(
        (), description="packages that those bring along and that must not stay (a torchvision for another torch)"
    )
    extra_index_urls: tuple[Annotated[str, AfterValidator(check_url)], ...] = Field(
        (), description="package indexes besides the one that pip or uv is set up with"
    )
    installer: Literal["uv", "pip"] | None = Field(
        None, description="what makes it (default: uv where it is installed, else venv and pip)"
    )

    def __str__(self) -> str:
        """As it is told in a sentence: its first requirement, which gives it its point."""
        more = len(self.requirements) - 1
        return f"{self.requirements[0]}{f' and {more} more' if more else ''}"
