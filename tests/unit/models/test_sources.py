from __future__ import annotations

from pathlib import Path

import pytest

from argosy.errors import SourceError
from argosy.models.catalog import CATALOG, row_of
from argosy.models.resolve import key_of
from argosy.models.sources import (
    CatalogSource,
    HubSource,
    PackageSource,
    PathSource,
    UrlSource,
    check_source,
    parse,
    with_revision,
)


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
        ("hf:org", "is malformed; write hf:org/repo, hf:org/repo:Q4_K_M or hf:org/repo:file.gguf"),
        ("hf:org/../x", "is malformed"),
        ("hf:org/repo:../../x", "'../../x' is no file and no quantisation"),
        ("hf:org/repo:", "'' is no file and no quantisation"),
        ("modelscope:org/repo#", "'' is no revision"),
        ("modelscope:org/repo#a b", "'a b' is no revision (a branch, a tag or a commit)"),
        ("https://", "is no URL of a file"),
        ("https://host/", "is no URL of a file"),
        ("https://me:secret@host/a.gguf", "the URL of a.gguf has a password in it"),
        ("https://host/a.gguf#sha256=12", "behind # only sha256=… can stand"),
        ("http://host/a.gguf", "over plain http anybody could change the file"),
        ("ftp://host/a.gguf", "is no source that Argosy knows; give a path, a catalog name, hf:org/repo"),
        ("qwen2.5:9b", "did you mean qwen2.5:7b"),
        ("Qwen/Qwen3-4B-GGUF", "Qwen3-4B-GGUF; a repository of a hub is hf:Qwen/Qwen3-4B-GGUF or modelscope:Qwen"),
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


def test_a_hub_source_has_a_repository_a_file_or_quantisation_and_a_revision() -> None:
    assert parse("hf:org/repo") == HubSource("hf", "org/repo")
    assert parse("hf:org/repo:Q4_K_M#v1") == HubSource("hf", "org/repo", "Q4_K_M", "v1")
    assert parse("modelscope:org/repo:sub/a.gguf") == HubSource("modelscope", "org/repo", "sub/a.gguf")
    for text in ("hf:org/repo:Q4_K_M#refs/pr/1", "modelscope:org/repo#master"):
        assert str(parse(text)) == text


def test_a_url_may_carry_its_checksum() -> None:
    assert parse("https://host/a/b.gguf?download=true") == UrlSource("https://host/a/b.gguf?download=true")
    assert parse(f"http://host:80/b.gguf#sha256={'A' * 64}") == UrlSource("http://host:80/b.gguf", "a" * 64)
    assert UrlSource("https://host/a%20b.gguf?x=1").name == "a b.gguf"


def test_a_revision_of_its_own_field_joins_the_source() -> None:
    assert with_revision("hf:org/repo:Q4_K_M", "v1") == "hf:org/repo:Q4_K_M#v1"
    assert with_revision("hf:org/repo#v1", "v1") == "hf:org/repo#v1"
    with pytest.raises(SourceError, match="name two revisions; write one"):
        with_revision("hf:org/repo#v1", "v2")
    with pytest.raises(SourceError, match="has no revisions: only hf: and modelscope:"):
        with_revision("models/a.gguf", "v1")
    with pytest.raises(SourceError, match="is no revision"):
        with_revision("hf:org/repo", "../x")


def test_every_row_of_the_catalog_has_sources_that_can_be_read_and_one_to_fall_back_on() -> None:
    for row in CATALOG.values():
        assert len(row.sources) > 1, row.name
        for source in row.sources:
            for text in (source,) if isinstance(source, str) else source:
                assert isinstance(parse(text), HubSource | PackageSource)
            if isinstance(source, str):
                assert row_of(source) is row
        assert (row.sha256 is None) or (row.file is not None)


def test_the_catalog_name_and_each_of_its_pinned_sources_share_one_file() -> None:
    assert key_of("smollm2") == key_of(str(CATALOG["smollm2"].sources[1])) == CATALOG["smollm2"].sha256[:16]  # type: ignore[index]
    assert key_of("qwen3:4b") != key_of("hf:Qwen/Qwen3-4B-GGUF")
    assert key_of("./a.gguf") is None
