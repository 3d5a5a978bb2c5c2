"""The Grafana dashboard and the page that explains the metrics, beside what /metrics says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from door import ADMIN, Door
from prometheus_client.parser import text_string_to_metric_families

from argosy.gateway.metrics import PATH
from engines import FakeEngine, reset_after
from pages import ROOT, Page

DASHBOARD = ROOT / "deploy" / "grafana" / "argosy.json"
FROM_PROMETHEUS = {"job", "instance"}  # labels that it adds to what it scrapes


@pytest.fixture
async def samples() -> dict[str, set[str]]:
    """Every sample's name with its labels, of a gateway that has seen an answer and a failure."""
    async with FakeEngine(reset_after()) as engine, Door() as door:
        await door.join(engine)
        assert [(await door.chat()).status for _ in range(2)] == [502, 200]
        text = (await door.request("GET", PATH, headers=ADMIN)).body.decode()
    found = dict[str, set[str]]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_dashboard_is_json_that_grafana_can_lay_out() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids) > 20
    taken = set[tuple[int, int]]()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, f"{panel['title']} lies over another"
        taken |= cells


def test_every_query_of_the_dashboard_asks_for_what_is_there(samples: dict[str, set[str]]) -> None:
    queries = list(_queries(json.loads(DASHBOARD.read_text())))
    assert len(queries) > 30
    asked = set[str]()
    for query in queries:
        names = re.findall(r"\b(?:argosy|process)_\w+", query)
        assert names, query
        assert [name for name in names if name not in samples] == [], query
        labels = set(re.findall(r"(\w+)(?:=~|!=|=)\"", query))
        for group in re.findall(r"\bby \(([^)]*)\)", query):
            labels |= {each.strip() for each in group.split(",")}
        for name in names:
            assert labels <= samples[name] | FROM_PROMETHEUS, query
        asked |= {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in samples if name.startswith("argosy_")}
    assert told - asked == set(), "is on no panel"


@pytest.mark.parametrize("file", ["metrics.md", "metrics.zh.md"])
def test_every_metric_is_explained_with_its_labels(file: str, samples: dict[str, set[str]]) -> None:
    told = dict[str, set[str]]()
    for name, labels in samples.items():
        if name.startswith("argosy_"):
            told.setdefault(re.sub(r"_(bucket|sum|count)$", "", name), set()).update(labels - {"le"})
    explained = {
        re.sub("`", "", name): set(re.findall(r"`(\w+)`", labels))
        for name, labels, *_ in Page.read(ROOT / "docs" / "reference" / file).rows()
        if name.startswith("`argosy_")
    }
    assert explained == told


def _queries(dashboard: dict[str, Any]) -> Iterator[str]:
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]
