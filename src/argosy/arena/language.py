"""In which language somebody asks, told by the script alone: enough to set a leaderboard apart. Pure.

Latin letters do not tell one: the page's own language is taken where it is written in them, else `en`.
"""

from __future__ import annotations

import re
from collections import Counter

OTHER = "other"  # no letters, or of a script that is not known here
LONGEST_CHARACTERS = 2000  # of a text that are looked at
# Written in Latin letters: what a page may say that its language is.
_LATIN = frozenset((
    "af", "az", "ca", "cs", "cy", "da", "de", "en", "es", "et", "eu", "fi", "fr", "ga", "gl", "hr", "hu", "id", "is",
    "it", "lt", "lv", "ms", "mt", "nl", "no", "pl", "pt", "ro", "sk", "sl", "sq", "sv", "sw", "tl", "tr", "uz", "vi",
))  # fmt: skip
_SCRIPTS = {  # language → its letters; Japanese and Korean write Han characters too, so their own decide
    "ja": r"[\u3040-\u30ff]",
    "ko": r"[\uac00-\ud7af\u1100-\u11ff]",
    "zh": r"[\u3400-\u9fff\uf900-\ufaff]",
    "ru": r"[\u0400-\u04ff]",
    "ar": r"[\u0600-\u06ff]",
    "he": r"[\u0590-\u05ff]",
    "hi": r"[\u0900-\u097f]",
    "th": r"[\u0e00-\u0e7f]",
    "el": r"[\u0370-\u03ff]",
    "latin": r"[A-Za-z\u00c0-\u024f]",
}
_LETTERS = re.compile("|".join(f"(?P<{name}>{letters})" for name, letters in _SCRIPTS.items()))
# A Latin word has five letters or so where Chinese has two characters: text with English names in it stays Chinese.
_LATIN_LETTERS_FOR_ONE = 4


LANGUAGES = frozenset(_SCRIPTS) - {"latin"} | _LATIN | {OTHER}


def language_of(text: str, hint: str | None = None) -> str:
    """One of LANGUAGES: codes of ISO 639, or `other`. `hint`: the language of the page that it was written on."""
    counts: Counter[str] = Counter()
    for found in _LETTERS.finditer(text[:LONGEST_CHARACTERS]):
        counts[found.lastgroup or ""] += 1
    counts["latin"] = -(-counts["latin"] // _LATIN_LETTERS_FOR_ONE)
    script, most = max(counts.items(), key=lambda item: item[1])
    if not most:
        return OTHER
    if script == "zh" and counts["ja"]:
        return "ja"
    if script != "latin":
        return script
    return hint if hint in _LATIN else "en"
