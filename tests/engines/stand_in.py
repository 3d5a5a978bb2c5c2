"""Packages for environments, made here: nothing is downloaded. One stands in for SGLang and checks what it is told."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

SGLANG = '''
"""Serves nothing but its health and its model's name, once it has been given what the real one needs."""

import argparse, http.server, json, os, pathlib, threading

parser = argparse.ArgumentParser()
for flag in ("--model-path", "--host", "--port", "--api-key", "--served-model-name"):
    parser.add_argument(flag, required=True)
for flag in ("--context-length", "--max-running-requests", "--tp-size", "--mem-fraction-static", "--log-level-http"):
    parser.add_argument(flag)
given = parser.parse_args()
assert pathlib.Path(given.model_path).is_dir(), given.model_path
assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-7"
assert "ARGOSY_ENGINE_KEY" not in os.environ

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        has_key = self.headers["authorization"] == f"Bearer {given.api_key}"
        status = 200 if self.path == "/health" or has_key else 401
        body = json.dumps({"data": [{"id": given.served_model_name}], "told": vars(given)}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer((given.host, int(given.port)), Handler).serve_forever()
'''

# An engine for `command`: it tells which Python runs it.
PROGRAM = """
import http.server, json, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"prefix": sys.prefix}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def wheel(folder: Path, name: str, files: Mapping[str, str], needs: Sequence[str] = (), *, version: str = "1.0") -> str:
    """A package of these files; returns its requirement."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {each}\n" for each in needs)
    with zipfile.ZipFile(path, "w") as packed:
        for file, text in files.items():
            packed.writestr(file, text)
        packed.writestr(f"{about}/METADATA", metadata)
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "".join(f"{each},,\n" for each in (*files, f"{about}/RECORD")))
    return f"{name} @ {path.as_uri()}"
