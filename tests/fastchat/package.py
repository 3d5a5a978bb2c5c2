"""The real FastChat 0.2.36 in an environment of its own, and a model that it loads. Made once, kept in Argosy's cache.

    python tests/fastchat/package.py MODEL.gguf     # prints {"python": …, "model": …}

FastChat stopped in 2024: with libraries of today two of its lines are mended, and a model's folder is written as its
time had it (by a transformers that still knows rope_theta at the top of a config).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from argosy.config.environment import Environment

REQUIREMENTS = (
    *("fschat==0.2.36", "torch==2.13.0", "transformers==4.57.3", "gguf>=0.10"),
    *("accelerate", "sentencepiece", "protobuf", "tiktoken"),
)
_API = "serve/openai_api_server.py"
PATCHES = (
    ("utils.py", 'config.rope_scaling["factor"]', 'config.rope_scaling.get("factor", 1)'),
    (_API, "chunk.json(exclude_unset=True, ensure_ascii=False)", "chunk.model_dump_json(exclude_unset=True)"),
    (_API, "chunk.json(exclude_none=True, ensure_ascii=False)", "chunk.model_dump_json(exclude_none=True)"),
)
CONVERT = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, file, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, torch_dtype=torch.bfloat16)
config = read.config
if hasattr(config, "quantization_config"):
    del config.quantization_config  # what was read is whole numbers no more
model = AutoModelForCausalLM.from_config(config, torch_dtype=torch.bfloat16)
model.load_state_dict(read.state_dict(), strict=False)
model.tie_weights()
model.generation_config.update(bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id)
model.save_pretrained(out)
tokenizer.save_pretrained(out)
"""


@dataclass(frozen=True)
class Package:
    python: str
    model: str


def package(gguf: Path) -> Package:
    wanted = json.dumps([REQUIREMENTS, PATCHES, CONVERT, sys.version_info[:2], str(gguf)])
    home = Environment.read(os.environ).cache / "fastchat" / hashlib.sha256(wanted.encode()).hexdigest()[:16]
    made = home / "made"
    if not made.exists():
        shutil.rmtree(home, ignore_errors=True)
        _make(home, gguf)
        made.touch()
    return Package(str(home / "bin" / "python"), str(home / "model"))


def _make(home: Path, gguf: Path) -> None:
    _run(sys.executable, "-m", "venv", str(home))
    python = str(home / "bin" / "python")
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS)
    (found,) = home.glob("lib/python*/site-packages/fastchat")
    for file, old, new in PATCHES:
        text = (found / file).read_text()
        assert old in text, f"FastChat's {file} is not as expected: {old}"
        (found / file).write_text(text.replace(old, new))
    _run(python, "-c", CONVERT, str(gguf.parent), gguf.name, str(home / "model"))


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdout=sys.stderr, env={**os.environ, "HF_HUB_OFFLINE": "1"})


if __name__ == "__main__":
    print(json.dumps(asdict(package(Path(sys.argv[1]).absolute()))))
