"""hf:, modelscope: and https: sources, with the hubs' own libraries against a hub on loopback."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from asker import Asker, wait_for_bytes
from hub import COMMIT, Hub, Repository

from argosy.errors import SourceError
from argosy.models.cache import ModelCache
from argosy.models.progress import Progress
from argosy.models.reach import Reach
from argosy.processes.identity import ProcessIdentity, wait_gone

WEIGHTS = bytes(range(256)) * 8000  # 2 MB
OTHER = bytes(reversed(range(256))) * 8000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
GGUF = Repository({"README.md": b"hello", "m-Q4_K_M.gguf": WEIGHTS, "m-Q8_0.gguf": OTHER, "mmproj-F16.gguf": OTHER})
SAFETENSORS = Repository(
    {
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "model-00001-of-00002.safetensors": WEIGHTS,
        "model-00002-of-00002.safetensors": OTHER,
        "model.safetensors.index.json": b"{}",
        "pytorch_model.bin": WEIGHTS,
        "onnx/model.onnx": WEIGHTS,
        "1_Pooling/config.json": b"{}",
    }
)
REPOSITORIES = {"org/gguf": GGUF, "org/whole": SAFETENSORS}
BOTH = pytest.mark.parametrize("hub_name", ["hf", "modelscope"])


def gets(hub: Hub) -> list[str]:
    """The downloads that were asked for."""
    return [line for line in hub.asked if "/resolve/" in line or "FilePath=" in line or "/files/" in line]


@BOTH
def test_a_gguf_repository_gives_its_q4_k_m_once(hub_name: str, ask: Asker) -> None:
    with Hub(REPOSITORIES) as hub:
        asker = ask.at(hub)
        path = asker(f"{hub_name}:org/gguf")
    assert (path.name, path.read_bytes()) == ("m-Q4_K_M.gguf", WEIGHTS)
    assert ask.left() == ["m-Q4_K_M.gguf"]
    assert str(asker.heard[-1]).startswith("downloading gguf: 2 of 2 MB")
    assert asker(f"{hub_name}:org/gguf") == path  # the hub is gone: what is cached needs none


@BOTH
def test_a_quantisation_is_found_in_any_case_and_another_one_is_another_entry(hub_name: str, ask: Asker) -> None:
    with Hub(REPOSITORIES) as hub:
        assert ask.at(hub)(f"{hub_name}:org/gguf:q8_0#v1").read_bytes() == OTHER
        assert ask.at(hub)(f"{hub_name}:org/gguf:m-Q4_K_M.gguf").read_bytes() == WEIGHTS


@BOTH
def test_safetensors_come_whole_and_without_the_same_again(hub_name: str, ask: Asker) -> None:
    with Hub(REPOSITORIES) as hub:
        folder = ask.at(hub)(f"{hub_name}:org/whole")
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        "1_Pooling/config.json",
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
    ]
    assert (folder / "model-00002-of-00002.safetensors").read_bytes() == OTHER


def test_a_split_gguf_comes_with_all_parts_and_opens_at_the_first(ask: Asker) -> None:
    parts = {"big-Q4_K_M-00001-of-00002.gguf": WEIGHTS, "big-Q4_K_M-00002-of-00002.gguf": OTHER, "big-Q2_K.gguf": OTHER}
    with Hub({"org/big": Repository(parts)}) as hub:
        path = ask.at(hub)("hf:org/big")
    assert path.name == "big-Q4_K_M-00001-of-00002.gguf"
    assert path.with_name("big-Q4_K_M-00002-of-00002.gguf").read_bytes() == OTHER


@BOTH
def test_a_cut_connection_goes_on_from_the_byte_that_is_missing(hub_name: str, ask: Asker) -> None:
    with Hub(REPOSITORIES, cuts=1) as hub:
        assert ask.at(hub)(f"{hub_name}:org/gguf").read_bytes() == WEIGHTS
        assert "bytes=" in gets(hub)[-1]
        assert sum(hub.sent.values()) < 1.3 * len(WEIGHTS)


ASKER = """
import json, sys, threading
from pathlib import Path
from argosy.models.resolve import resolve
source, cache, variables = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
resolve(source, cache=cache, progress=lambda _: None, cancelled=threading.Event(), variables=variables)
"""


@pytest.mark.parametrize("form", ["hf:org/gguf", "modelscope:org/gguf", "{url}/files/m.gguf"])
def test_killed_half_way_nobody_goes_on_downloading_and_the_next_asker_goes_on_from_there(
    form: str, ask: Asker
) -> None:
    with Hub(REPOSITORIES, web={"/files/m.gguf": WEIGHTS}, stalling=True) as hub:
        asker, source = ask.at(hub), form.format(url=hub.url)
        argv = [sys.executable, "-c", ASKER, source, str(ask.cache), json.dumps(asker.variables)]
        with subprocess.Popen(argv) as killed:
            assert hub.halfway.wait(30)
            wait_for_bytes(ask.cache)
            below = [ProcessIdentity.of(child.pid) for child in psutil.Process(killed.pid).children(recursive=True)]
            assert below
            killed.kill()
        assert wait_gone(below, 5) == []
        hub.go_on.set()
        assert asker(source).read_bytes() == WEIGHTS
        assert "bytes=" in hub.asked[-1] or "Range" in hub.asked[-1]
    assert len(ask.left()) == 1


def test_two_askers_download_it_once(ask: Asker) -> None:
    waits = threading.Event()

    def second_hears(progress: Progress) -> None:
        if progress.waiting:
            waits.set()

    with Hub(REPOSITORIES, stalling=True) as hub, ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask.at(hub), "hf:org/gguf")
        assert hub.halfway.wait(30)
        second = pool.submit(ask.at(hub), "hf:org/gguf", report=second_hears)
        assert waits.wait(30)
        hub.go_on.set()
        assert first.result(30) == second.result(30)
        assert len(gets(hub)) == 1


def test_cancelled_half_way_it_ends_at_once(ask: Asker) -> None:
    with Hub(REPOSITORIES, stalling=True) as hub, ThreadPoolExecutor(1) as pool:
        asker = ask.at(hub)
        asked = pool.submit(asker, "hf:org/gguf")
        assert hub.halfway.wait(30)
        asker.cancelled.set()
        with pytest.raises(SourceError, match="was cancelled"):
            asked.result(5)


PRIVATE = Repository({"m.gguf": WEIGHTS}, token="good")
GATED = Repository({"m.gguf": WEIGHTS}, gated=True)
SEVERAL = Repository({"m-Q2_K.gguf": WEIGHTS, "m-Q8_0.gguf": OTHER})
OLD = Repository({"config.json": b"{}", "model.onnx": WEIGHTS})


@pytest.mark.parametrize(
    ("source", "token", "sentence"),
    [
        ("hf:org/none", "", "has no model org/none: check the spelling; a private one needs HF_TOKEN"),
        ("hf:org/gguf#v9", "", "org/gguf has no revision 'v9'"),
        ("hf:org/gguf:m-Q4_K.gguf", "", "hf:org/gguf has no file 'm-Q4_K.gguf'; did you mean m-Q4_K_M.gguf"),
        ("hf:org/gguf:Q5_K_M", "", "hf:org/gguf has no 'Q5_K_M'; it has Q4_K_M (2 MB), Q8_0 (2 MB); for example"),
        (
            "hf:org/several",
            "",
            "hf:org/several has no Q4_K_M; name one: Q2_K (2 MB), Q8_0 (2 MB); for example hf:org/se",
        ),
        ("hf:org/old", "", "has neither GGUF files nor safetensors; it has model.onnx"),
        ("hf:org/gated", "", "org/gated is gated: accept its licence at {url}/org/gated, then set HF_TOKEN to a token"),
        ("hf:org/gated", "mine", "accept its licence at {url}/org/gated, the account of your HF_TOKEN has not"),
        ("hf:org/private", "", "has no model org/private: check the spelling; a private one needs HF_TOKEN"),
        ("hf:org/private", "wrong", "does not take your HF_TOKEN: make another at {url}/settings/tokens, or unset it"),
        ("modelscope:org/none", "", "has no model org/none: check the spelling at {url}/models/org/none"),
        ("modelscope:org/private", "", "does not let you have org/private: ask for it at {url}/models/org/private"),
        ("{url}/files/none.gguf", "", "cannot be had: there is no such file (HTTP 404); check the address"),
    ],
)
def test_what_cannot_be_had_is_told_in_a_sentence_and_not_tried_again(
    source: str, token: str, sentence: str, ask: Asker
) -> None:
    more = {"org/private": PRIVATE, "org/gated": GATED, "org/several": SEVERAL, "org/old": OLD}
    with Hub({**REPOSITORIES, **more}) as hub:
        asker = ask.at(hub, **({"HF_TOKEN": token} if token else {}))
        with pytest.raises(SourceError) as caught:
            asker(source.format(url=hub.url))
        assert sentence.format(url=hub.url) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.permanent
    assert ask.left() == []


@pytest.mark.parametrize(("hub_name", "variable"), [("hf", "HF_TOKEN"), ("modelscope", "MODELSCOPE_API_TOKEN")])
def test_a_token_opens_what_is_private(hub_name: str, variable: str, ask: Asker) -> None:
    with Hub({"org/private": PRIVATE}) as hub:
        assert ask.at(hub, **{variable: "good"})(f"{hub_name}:org/private").read_bytes() == WEIGHTS


def test_content_that_is_not_what_the_hub_lists_is_not_kept(ask: Asker) -> None:
    lied = Repository({"m.gguf": WEIGHTS}, listed_sha256={"m.gguf": "0" * 64})
    with Hub({"org/lied": lied}) as hub, pytest.raises(SourceError, match=r"m\.gguf has SHA-256 .* it was not kept"):
        ask.at(hub)("hf:org/lied")
    assert ask.left() == []


def test_a_commit_is_a_revision(ask: Asker) -> None:
    with Hub(REPOSITORIES) as hub:
        ask.at(hub)(f"hf:org/gguf#{COMMIT}")
        assert f"/api/models/org/gguf/revision/{COMMIT}" in hub.asked[0]


# https


def test_a_file_of_a_web_server_is_fetched_and_checked(ask: Asker) -> None:
    with Hub(web={"/files/a%20model.gguf": b"", "/files/m.gguf": WEIGHTS}) as hub:
        assert ask.at(hub)(f"{hub.url}/files/m.gguf#sha256={SHA256.upper()}").read_bytes() == WEIGHTS
        with pytest.raises(SourceError, match=rf"m\.gguf has SHA-256 {SHA256}, expected {'0' * 64}"):
            ask.at(hub)(f"{hub.url}/files/m.gguf#sha256={'0' * 64}")
    assert ask.left() == ["m.gguf"]


def test_a_cut_web_download_goes_on_and_gives_up_when_nothing_comes(ask: Asker) -> None:
    with Hub(web={"/files/m.gguf": WEIGHTS}, cuts=2) as hub:
        assert ask.at(hub)(f"{hub.url}/files/m.gguf").read_bytes() == WEIGHTS
        assert [line.split()[-1] for line in hub.asked[1:]] == ["bytes=1024000-", "bytes=1536000-"]
    with Hub(web={"/files/m.gguf": WEIGHTS}, refusing=503) as hub, pytest.raises(SourceError) as caught:
        ask.at(hub)(f"{hub.url}/files/m.gguf")
    assert "127.0.0.1 does not send m.gguf (HTTP 503 Service Unavailable)" in str(caught.value)
    assert not caught.value.permanent


def test_a_file_that_changed_between_two_tries_is_not_mixed(ask: Asker) -> None:
    with Hub(web={"/files/m.gguf": WEIGHTS}, stalling=True) as hub, ThreadPoolExecutor(1) as pool:
        asker, source = ask.at(hub), f"{hub.url}/files/m.gguf"
        asked = pool.submit(asker, source)
        assert hub.halfway.wait(30)
        wait_for_bytes(ask.cache)
        asker.cancelled.set()
        with pytest.raises(SourceError, match="what is here is kept"):
            asked.result(10)
        hub.web["/files/m.gguf"] = OTHER
        hub.go_on.set()
        assert ask.at(hub)(source).read_bytes() == OTHER
        assert "bytes=" in hub.asked[-1]  # asked for the rest, was given the new one whole


# Falling back


def test_a_hub_that_cannot_be_reached_is_told_at_once(ask: Asker) -> None:
    with Hub() as gone:
        pass
    with pytest.raises(SourceError) as caught:
        ask.at(gone)("hf:org/gguf")
    assert f"{gone.url.removeprefix('http://')} is not reachable (Connection refused); check the net" in str(
        caught.value
    )
    assert not caught.value.permanent


def test_a_catalog_model_comes_from_the_next_source_when_a_hub_is_away(ask: Asker) -> None:
    """With a model whose content is not pinned: the catalog's sizes are of models too large for a test."""
    files = {"Qwen3-0.6B-Q8_0.gguf": WEIGHTS}
    with Hub() as gone:
        pass
    with Hub({"Qwen/Qwen3-0.6B-GGUF": Repository(files)}) as hub:
        asker = ask.at(hub, HF_ENDPOINT=gone.url)
        path = asker("qwen3:0.6b")
        assert path.read_bytes() == WEIGHTS
        notes = {progress.note for progress in asker.heard}
        assert f"{gone.url.removeprefix('http://')} is not reachable, trying ModelScope" in notes
        assert ask.at(hub)("qwen3:0.6b") == path  # one entry, wherever it came from
    [entry] = ModelCache(ask.cache / "models").entries()
    assert entry.record is not None
    assert entry.record.source == "modelscope:Qwen/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q8_0.gguf"


def test_a_network_that_swallows_packets_costs_a_moment() -> None:
    """192.0.2.1 is nobody's: it is refused at once or never answered."""
    began = time.monotonic()
    reach = Reach(["https://192.0.2.1", "https://name.invalid"], {}, seconds=0.3)
    assert reach.why_not("https://192.0.2.1", threading.Event())
    assert reach.why_not("https://name.invalid", threading.Event())
    assert time.monotonic() - began < 2


def test_downloads_take_the_proxy_of_the_environment(ask: Asker) -> None:
    """The hub stands for a proxy: it is asked for hosts that are not there."""
    with Hub(REPOSITORIES, web={"/files/m.gguf": WEIGHTS}) as hub:
        asker = ask.at(
            hub,
            HF_ENDPOINT="http://hf.invalid",
            MODELSCOPE_ENDPOINT="http://modelscope.invalid",
            http_proxy=hub.url,
        )
        for source in ("hf:org/gguf", "modelscope:org/gguf", f"http://web.invalid/files/m.gguf#sha256={SHA256}"):
            assert asker(source).read_bytes() == WEIGHTS
        hosts = {line.split("/")[2] for line in hub.asked}
        assert hosts == {"hf.invalid", "modelscope.invalid", "web.invalid"}


def test_the_order_of_sources_can_be_given(ask: Asker) -> None:
    with Hub({"Qwen/Qwen3-0.6B-GGUF": Repository({"Qwen3-0.6B-Q8_0.gguf": WEIGHTS})}) as hub:
        ask.at(hub)("qwen3:0.6b", order=["modelscope", "pypi"])
        assert all("/api/v1/" in line for line in hub.asked)
        with pytest.raises(SourceError, match="ARGOSY_SOURCES=https allows none of them"):
            ask.at(hub)("qwen3:4b", order=["https"])
        with pytest.raises(SourceError, match=r"ARGOSY_SOURCES: 'huggingface' is none of hf, modelscope, https, pypi"):
            ask.at(hub)("qwen3:4b", order=["huggingface"])


def test_when_every_source_fails_all_reasons_are_told(ask: Asker) -> None:
    with Hub() as hub, pytest.raises(SourceError) as caught:
        ask.at(hub)("qwen3:0.6b")
    assert str(caught.value).startswith("qwen3:0.6b cannot be had: 127.0.0.1:")
    assert "; then 127.0.0.1:" in str(caught.value)
    assert caught.value.permanent


# The cache


def test_damage_that_keeps_the_size_is_found_when_it_is_looked_for(ask: Asker) -> None:
    with Hub(REPOSITORIES) as hub:
        asker = ask.at(hub)
        path = asker("hf:org/gguf")
        path.write_bytes(OTHER)
        assert asker("hf:org/gguf").read_bytes() == OTHER  # only `pull` reads it all
        assert asker("hf:org/gguf", verify=True).read_bytes() == WEIGHTS
        path.unlink()
        assert asker("hf:org/gguf").read_bytes() == WEIGHTS
        for record in path.parent.parent.glob("*.json"):
            record.write_text("{")
        shutil.rmtree(path.parent)
        path.parent.touch()
        assert asker("hf:org/gguf").read_bytes() == WEIGHTS


def test_what_lies_in_the_cache_is_listed_and_removed(ask: Asker) -> None:
    cache = ModelCache(ask.cache / "models")
    assert cache.entries() == []
    with Hub(REPOSITORIES) as hub:
        ask.at(hub)("hf:org/whole")
    [entry] = cache.entries()
    assert entry.record is not None
    assert (entry.record.source, entry.record.entry) == ("hf:org/whole", "")
    assert entry.size_bytes > 2 * len(WEIGHTS)
    assert cache.remove(entry.key) == entry.size_bytes
    assert cache.entries() == []
