"""Whether an answer tells whose it is: then a vote on it says more about the name than about the answer. Pure.

A model is told by its deployment's name and aliases, and by the names of its family and its maker, in English and
Chinese, where the name or the source says which family that is. LMSYS leaves out such battles too, for any name of any
family (`IDENTITY_WORDS` in FastChat's clean_battle_data.py); here a model may speak of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_QWEN = ("qwen", "qwq", "tongyi", "alibaba", "通义", "千问", "阿里")
_GLM = ("glm", "chatglm", "zhipu", "z.ai", "智谱", "清言")
_GPT = ("gpt", "chatgpt", "openai")
# What stands in a name or a source → what such a model calls itself and its maker.
FAMILIES = {
    "qwen": _QWEN,
    "qwq": _QWEN,
    "llama": ("llama", "meta ai"),
    "smollm": ("smollm", "hugging face"),
    "deepseek": ("deepseek", "深度求索"),
    "glm": _GLM,
    "chatglm": _GLM,
    "gemma": ("gemma", "google deepmind"),
    "gemini": ("gemini", "google deepmind"),
    "mistral": ("mistral", "mistral ai"),
    "mixtral": ("mixtral", "mistral ai"),
    "phi": ("phi", "microsoft"),
    "gpt": _GPT,
    "chatgpt": _GPT,
    "claude": ("claude", "anthropic"),
    "grok": ("grok", "xai"),
    "command-r": ("command r", "cohere"),
    "yi": ("yi", "01.ai", "零一万物"),
    "baichuan": ("baichuan", "百川"),
    "internlm": ("internlm", "shanghai ai laboratory", "书生", "浦语"),
    "hunyuan": ("hunyuan", "tencent", "混元", "腾讯"),
    "kimi": ("kimi", "moonshot", "月之暗面"),
    "minicpm": ("minicpm", "modelbest", "openbmb", "面壁"),
    "minimax": ("minimax", "稀宇"),
    "ernie": ("ernie", "baidu", "文心", "百度"),
    "doubao": ("doubao", "bytedance", "豆包", "字节跳动"),
    "vicuna": ("vicuna", "lmsys"),
    "falcon": ("falcon", "tii"),
    "granite": ("granite", "ibm"),
    "olmo": ("olmo", "ai2", "allen institute"),
}
_GAP = r"[\s._/:-]{0,3}"  # Qwen2.5, Qwen 2.5, qwen-2.5
_LONGEST_GAP = 3
_WORDS = re.compile(r"[^\W\d_]+|\d+")
_ASCII_LETTER = re.compile(r"[A-Za-z0-9]")


def telling_words(names: Iterable[str], source: str = "") -> frozenset[str]:
    """What gives a model away. `names`: its deployment's and its aliases; `source`: where its weights come from."""
    names = [name.rpartition("/")[2].lower() for name in names]
    words = {name for name in names if len(name) > 1}
    for text in (*names, source.lower()):
        parts = set(re.findall(r"[a-z]+", text))
        for family, told in FAMILIES.items():
            # Short ones must be a word of their own: `yi` is in many.
            if family in parts or (len(family) > 3 and family in text):
                words |= set(told)
    return frozenset(words)


class Telltale:
    """Reads one answer as it comes, cut anywhere; `told` is the word that gave the model away, once there is one."""

    def __init__(self, words: Iterable[str]) -> None:
        words = sorted(words)
        self._pattern = re.compile("|".join(map(_pattern, words)), re.IGNORECASE) if words else None
        # What may still become a word, and the character before it.
        self._keep = 1 + max((len(word) + _LONGEST_GAP * len(_WORDS.findall(word)) for word in words), default=0)
        self._tail = ""
        self.told: str | None = None

    def feed(self, text: str) -> None:
        self._look(self._tail + text, at_end=False)

    def finish(self) -> None:
        """The answer is over, so what ends with it ends there."""
        self._look(self._tail, at_end=True)
        self._tail = ""

    def _look(self, text: str, *, at_end: bool) -> None:
        if self._pattern is not None and self.told is None:
            for found in self._pattern.finditer(text):
                # The next piece may go on with the word: llama, llamas.
                if at_end or found.end() < len(text):
                    self.told = found.group()
                    break
        self._tail = text[-self._keep :]


def _pattern(word: str) -> str:
    """Of a word as it may be written: its parts with or without something between, not within a longer one."""
    parts = _WORDS.findall(word)
    if not parts:
        return re.escape(word)
    body = _GAP.join(map(re.escape, parts))
    before = r"(?<![A-Za-z0-9])" if _ASCII_LETTER.match(parts[0]) else ""
    # Qwen2 and GPT4 tell a family by its name with a number right behind it.
    after = r"(?![A-Za-z])" if _ASCII_LETTER.match(parts[-1][-1]) else ""
    return before + body + after
