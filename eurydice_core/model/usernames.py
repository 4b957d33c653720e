"""Names of users: which characters they have, and which names would be taken for one another.

Two names that look alike must not be two accounts. Names are compared after NFKC and case
folding (Unicode Standard, section 3.13), and one that mixes scripts is refused, by the level
"Highly Restrictive" of UTS 39, section 5.2. A name that is wholly of another script, and looks
like a Latin one, is not noticed.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = ["MAX_USERNAME", "canonical_name", "folded_name", "username_problem"]

MAX_USERNAME: Final = 150  # characters
ALLOWED: Final = re.compile(r"[\w.@+-]+(?: [\w.@+-]+)*")
CJK: Final = frozenset({"LATIN", "CJK", "IDEOGRAPHIC"})
MIXABLE: Final = (CJK | {"HIRAGANA", "KATAKANA"}, CJK | {"BOPOMOFO"}, CJK | {"HANGUL"})


def canonical_name(name: str) -> str:
    """Return a name in NFKC: fullwidth letters are plain ones, accents are composed."""
    return unicodedata.normalize("NFKC", name)


def folded_name(name: str) -> str:
    """Return the form that is equal for names that differ only by case or width."""
    return canonical_name(canonical_name(name).casefold())


def username_problem(name: str) -> str | None:
    """Return why a text cannot be the name of a user, None if it can."""
    if len(name) > MAX_USERNAME or not ALLOWED.fullmatch(name):
        return f"use 1 to {MAX_USERNAME} letters, digits and . @ + - _, with single spaces between"
    if not any(map(str.isalnum, name)):
        return "it has no letter and no digit"
    if canonical_name(name) != name:
        return f"write it as {canonical_name(name)[:40]!r}"
    scripts = {script for character in name if (script := _script(character))}
    if len(scripts) > 1 and not any(scripts <= mixable for mixable in MIXABLE):
        return f"it mixes letters of several scripts: {', '.join(sorted(scripts)).lower()}"
    return None


def _script(character: str) -> str | None:
    """Return the script of a letter or digit, the first word of its Unicode name."""
    if character.isascii() and not character.isalpha():
        return None
    return re.split(r"[ -]", unicodedata.name(character, "UNKNOWN"), maxsplit=1)[0]
