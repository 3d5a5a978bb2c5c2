"""A projector for SmolLM2 as small as can be, its weights drawn, and a picture: what an image becomes is nonsense, but
it becomes as many tokens as it has patches."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from array import array
from pathlib import Path

from weights import gguf

PATCHES = 4  # of an image: 2 x 2
_PATCH, _SIDE = 14, 28
_WIDTH, _INNER, _HEADS = 32, 64, 2
_MODEL_WIDTH = 576  # SmolLM2's

Tensor = tuple[tuple[int, ...], "array[float]"]


def projector(path: Path) -> Path:
    """Of llava's kind: a vision transformer of one layer, then two matrices into the model's width."""
    draw = random.Random(0)

    def drawn(*shape: int) -> Tensor:
        count = 1
        for size in shape:
            count *= size
        return shape, array("f", (draw.uniform(-0.05, 0.05) for _ in range(count)))

    layer = {
        **{f"{name}.weight": drawn(_WIDTH, _WIDTH) for name in ("attn_q", "attn_k", "attn_v", "attn_out")},
        **{f"{name}.weight": drawn(_WIDTH) for name in ("ln1", "ln2")},
        **{f"{name}.bias": drawn(_WIDTH) for name in ("attn_q", "attn_k", "attn_v", "attn_out", "ln1", "ln2")},
        **{"ffn_up.weight": drawn(_WIDTH, _INNER), "ffn_up.bias": drawn(_INNER)},
        **{"ffn_down.weight": drawn(_INNER, _WIDTH), "ffn_down.bias": drawn(_WIDTH)},
    }
    tensors = {
        "v.class_embd": drawn(_WIDTH),
        "v.patch_embd.weight": drawn(_PATCH, _PATCH, 3, _WIDTH),
        "v.position_embd.weight": drawn(_WIDTH, PATCHES + 1),
        **{f"v.pre_ln.{part}": drawn(_WIDTH) for part in ("weight", "bias")},
        **{f"v.blk.0.{name}": tensor for name, tensor in layer.items()},
        **{"mm.0.weight": drawn(_WIDTH, _MODEL_WIDTH), "mm.0.bias": drawn(_MODEL_WIDTH)},
        **{"mm.2.weight": drawn(_MODEL_WIDTH, _MODEL_WIDTH), "mm.2.bias": drawn(_MODEL_WIDTH)},
    }
    return gguf(
        path,
        tensors,
        general__architecture="clip",
        clip__has_vision_encoder=True,
        clip__projector_type="mlp",
        clip__use_gelu=True,
        clip__vision__image_size=_SIDE,
        clip__vision__patch_size=_PATCH,
        clip__vision__embedding_length=_WIDTH,
        clip__vision__feed_forward_length=_INNER,
        clip__vision__projection_dim=_MODEL_WIDTH,
        clip__vision__block_count=1,
        clip__vision__attention__head_count=_HEADS,
        clip__vision__attention__layer_norm_epsilon=1e-5,
        clip__vision__image_mean=[0.5, 0.5, 0.5],
        clip__vision__image_std=[0.5, 0.5, 0.5],
    )


def picture() -> str:
    """A red square, as a message holds it."""
    side = 16

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\xff\0\0" * side for _ in range(side))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
