from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import SourceError
from argosy.models.catalog import CATALOG, row_of
from argosy.models.sources import CatalogSource, PackageSource, PathSource, check_source, parse


def test_a_source_is_a_catalog_name_a_path_or_a_package() -> None:
    assert parse("smollm2") == CatalogSource(CATALOG["smollm2"])
    assert parse("./smollm2") == PathSource(Path("smollm2"))
    assert parse("models/a.gguf") == PathSource(Path("models/a.gguf"))
    assert parse("pypi:a-b==1.0/c/d.gguf") == PackageSource("a-b", "1.0", "c/d.gguf")


def test_a_package_source_prints_as_it_was_written() -> None:
    assert str(parse("pypi:a-b==1.0/c/d.gguf")) == "pypi:a-b==1.0/c/d.gguf"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("", "is no source"),
        ("a\0b", "is no source"),
        ("hf:org/name", "hf: is not supported yet; give a path"),
        ("https://host/a.gguf", "https: is not supported yet"),
        ("modelscope:a/b", "modelscope: is not supported yet"),
        ("pypi:package", "is malformed; write pypi:package==version/"),
        ("pypi:package==1.0", "is malformed"),
        ("pypi:--index-url==1/x", "is malformed"),
        ("pypi:a==-r/x", "is malformed"),
        ("pypi:a==1/../x", "'../x' is no path of a file inside a wheel"),
        ("pypi:a==1//x", "'/x' is no path of a file inside a wheel"),
        ("smolm2", "'smolm2' is no file and no catalog name; did you mean smollm2?"),
        ("zzz", "'zzz' is no file and no catalog name; the catalog has smollm2"),
        ("folder/none.gguf", "no such file: /"),
    ],
)
def test_a_wrong_source_is_told_in_a_sentence(source: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        check_source(source, folder=tmp_path)
    assert sentence in str(caught.value)


def test_a_path_may_be_a_file_or_a_folder_of_the_given_folder(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").touch()
    (tmp_path / "weights").mkdir()
    for source in ("a.gguf", "weights", str(tmp_path / "a.gguf")):
        check_source(source, folder=tmp_path)


def test_every_row_of_the_catalog_has_sources_that_can_be_read() -> None:
    for row in CATALOG.values():
        assert all(isinstance(parse(source), PackageSource) for source in row.sources)
        assert all(row_of(source) is row for source in row.sources)
