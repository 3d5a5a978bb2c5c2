"""The fleet file's JSON schema, for editors: the schema's own, with each engine's options. Pure."""

from __future__ import annotations

from typing import Any

from argosy.config.schema import Fleet
from argosy.engines import catalog, choice


def json_schema() -> dict[str, Any]:
    schema = Fleet.model_json_schema()
    deployment = schema["$defs"]["Deployment"]
    deployment["properties"]["engine"] = {"enum": list(catalog.NAMES), "description": "what generates"}
    deployment["allOf"] = []
    for name in catalog.NAMES:
        if name == "remote":
            continue
        options = catalog.engine(name).options.model_json_schema(ref_template="#/$defs/{model}")
        schema["$defs"] |= options.pop("$defs", {})
        title = f"Options of {name}"
        schema["$defs"][title] = {**options, "title": title}
        chosen: dict[str, Any] = {"properties": {"engine": {"const": name}}, "required": ["engine"]}
        then = {"properties": {"options": {"$ref": f"#/$defs/{title.replace(' ', '%20')}"}}}
        deployment["allOf"].append({"if": chosen, "then": then})
    left_out = {"not": {"anyOf": [{"required": [field]} for field in ("engine", "urls", "command")]}}
    any_of = [{"$ref": f"#/$defs/{f'Options of {name}'.replace(' ', '%20')}"} for name in choice.CANDIDATES]
    deployment["allOf"].append({"if": left_out, "then": {"properties": {"options": {"anyOf": any_of}}}})
    recipe = deployment["properties"]["environment"]
    recipe["anyOf"] = [{"type": "string", "description": "one of `environments`"}, *recipe["anyOf"]]
    return {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Argosy fleet file"}
