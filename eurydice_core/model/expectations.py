"""Validation errors of settings in plain words: what is expected, and what was given."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import PurePath
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from eurydice_core.model.quantities import Rate, unit_of
from eurydice_core.model.written import MASK, written

__all__ = ["expected", "field_at", "place_of", "reason"]

BOUNDS: Final = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
TOO_SHORT: Final = ("too_short", "string_too_short")
LISTS: Final = (list, tuple, set, frozenset)
NETWORKS: Final = (IPvAnyNetwork, IPv4Network, IPv6Network)
LONGEST: Final = 60  # characters of a value that are shown
CREDENTIALS: Final = re.compile(r"(?<=://)[^/@]*:[^/@]*(?=@)")

ONE: Final[dict[Any, tuple[str, str]]] = {
    bool: ("true or false", "true"),
    int: ("a whole number", "10"),
    float: ("a number", "10"),
    str: ("a text in quotes", ""),
    SecretStr: ("a text in quotes", ""),
    Rate: ("a rate", '"30/second"'),
    re.Pattern: ("a regular expression", '"(?P<name>[^@]+)@EXAMPLE[.]ORG"'),
    **dict.fromkeys(NETWORKS, ("a network", '"10.0.0.0/8"')),
}
"""How a value of a type is called, and an example of one."""
MANY: Final[dict[Any, tuple[str, str]]] = {
    str: ("texts", '["one", "two"]'),
    int: ("whole numbers", "[1, 2]"),
    **dict.fromkeys(NETWORKS, ("networks", '["10.0.0.0/8"]')),
}


def field_at(model: type[BaseModel], location: Sequence[int | str]) -> tuple[int, FieldInfo | None]:
    """Return how much of an error's location names a setting, and that setting.

    What pydantic adds behind it, such as the index of an item, names none.
    """
    field: FieldInfo | None = None
    for depth, name in enumerate(location):
        field = model.model_fields.get(str(name))
        if field is None:
            return depth + 1, None
        tables = [kind for kind in kinds_of(field.annotation) if is_table(kind)]
        if not tables:
            return depth + 1, field
        model = tables[0]
    return len(location), field


def reason(details: ErrorDetails, field: FieldInfo | None, *, is_item: bool = False) -> str:
    """Return what is wrong with a value: the text behind the name of its setting.

    Args:
        details: one of pydantic's errors; its own message is never used.
        field: the setting, None where the value has none.
        is_item: whether the value is an item of the setting's list, or deeper.
    """
    kind = details["type"]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    is_secret = field is not None and holds_secret(field)
    if kind in TOO_SHORT and is_secret:
        return too_short(details)
    if kind in BOUNDS and not is_item:
        return out_of_bounds(details, unit_of(field) if field else None)
    wanted = expected(field) if field is not None else "another value"
    verb = "contains" if is_item else "is"
    return f"must be {wanted}" + ("" if is_secret else f"; {verb} {shown(details['input'])}")


def place_of(key: str, origins: Mapping[str, str]) -> str:
    """Return ` in PLACE` for a dotted key that was written, or the first one below it.

    Args:
        key: such as `storage.root`.
        origins: dotted key -> `file PATH`, `environment NAME` or `default`.
    """
    below = (origins[name] for name in origins if name.startswith(f"{key}."))
    place = (origins.get(key) or next(below, "")).partition(" ")[2]
    return f" in {place}" if place else ""


def too_short(details: ErrorDetails) -> str:
    """Say how long a secret must be, and how to make one."""
    wanted = details["ctx"]["min_length"]
    if wanted == 1:
        return "must not be empty"
    return (
        f"must have at least {wanted} characters, has {len_of(details)}"
        " ('eurydice init' makes good ones)"
    )


def len_of(details: ErrorDetails) -> int:
    """Return the length of a text that is too short."""
    length: int = details["ctx"].get("actual_length") or len(details["input"] or "")
    return length


def out_of_bounds(details: ErrorDetails, unit: str | None) -> str:
    """Name the bound and the value, in the setting's own unit."""
    words, name = BOUNDS[details["type"]]
    bound, given = details["ctx"][name], details["input"]
    value = shown(given, bare=True) if isinstance(given, str) else written(given, unit)
    return f"must be {words} {written(bound, unit)}, is {value}"


def holds_secret(field: FieldInfo) -> bool:
    """Tell whether a setting is a secret, or has one in it."""
    return "SecretStr" in repr(field.annotation)


def shown(value: Any, *, bare: bool = False) -> str:
    """Return a given value as TOML has it, on one line, cut if long, without passwords."""
    if isinstance(value, str):
        value = CREDENTIALS.sub(MASK, value)
    is_bare = bare and isinstance(value, str)
    text = value if is_bare else json.dumps(value, default=str, ensure_ascii=False)
    text = "".join(sign if sign.isprintable() else "?" for sign in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def expected(field: FieldInfo) -> str:
    """Return what a setting takes, with an example: `a size from 5MiB to 30MiB, such as "8MiB"`."""
    unit = unit_of(field)
    kinds = [kind for kind in kinds_of(field.annotation) if kind is not NoneType]
    names, examples = zip(*map(described, kinds), strict=True) if kinds else ((), ())
    name = f"a {unit}" if unit else " or ".join(dict.fromkeys(names)) or "another value"
    example = example_of(field, unit) or {"size": '"32MiB"', "duration": '"15min"'}.get(
        unit or "", next(iter(examples), "")
    )
    if bool in kinds or any(is_choice(kind) for kind in kinds):
        return name
    limits = " and ".join(limits_of(field, unit))
    return name + (f" {limits}" if limits else "") + (f", such as {example}" if example else "")


def described(kind: Any) -> tuple[str, str]:
    """Return how a value of a type is called, and an example, empty if there is none."""
    plain = get_origin(kind) or kind
    if plain is Literal:
        return one_of(get_args(kind)), ""
    if plain in LISTS:
        item = next(iter(kinds_of(next(iter(get_args(kind)), Any))), Any)
        of, example = MANY.get(item, ("", '["one", "two"]'))
        return (f"a list of {of}" if of else "a list"), example
    if plain in ONE:
        return ONE[plain]
    if isinstance(plain, type) and issubclass(plain, Enum):
        return one_of([member.value for member in plain]), ""
    if isinstance(plain, type) and issubclass(plain, PurePath):
        return "a path", '"/srv/eurydice"'
    if plain is dict or is_table(plain):
        return "a table of keys and values", ""
    return f"a value of the type {getattr(plain, '__name__', plain)}", ""


def example_of(field: FieldInfo, unit: str | None) -> str:
    """Return an example of the setting's own: the one it names, else its default."""
    default = None if field.is_required() else field.get_default(call_default_factory=False)
    value = field.examples[0] if field.examples else default
    if (
        isinstance(value, BaseModel)
        or holds_secret(field)
        or value is None
        or value in ("", (), [])
    ):
        return ""
    text = written(value, unit)
    return f'"{text}"' if unit and isinstance(value, int | float) else text


def limits_of(field: FieldInfo, unit: str | None) -> Iterator[str]:
    """Yield the bounds of a setting as they follow its name."""
    found = {
        name: getattr(mark, name)
        for mark in field.metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
        if getattr(mark, name, None) is not None
    }
    least, most = found.get("ge"), found.get("le")
    if least is not None and most is not None:
        yield f"from {written(least, unit)} to {written(most, unit)}"
    elif least is not None:
        yield f"of at least {written(least, unit)}"
    elif most is not None:
        yield f"of at most {written(most, unit)}"
    for name, words in (("gt", "more than"), ("lt", "less than")):
        if name in found:
            yield f"of {words} {written(found[name], unit)}"
    if "pattern" in found:
        yield f"that matches {found['pattern']}"
    elif "min_length" in found:
        least = found["min_length"]
        yield f"of at least {least} character" + ("s" if least > 1 else "")
    if "max_length" in found:
        yield f"of at most {found['max_length']} characters"


def one_of(values: Sequence[Any]) -> str:
    """Return the values of a choice: `"a", "b" or "c"`."""
    *others, last = [shown(value) for value in values]
    return f"{', '.join(others)} or {last}" if others else last


def is_choice(kind: Any) -> bool:
    """Tell whether a type is a choice of values, which need no example."""
    return get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum))


def is_table(kind: Any) -> bool:
    """Tell whether a type is a model, that is a table of the file."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def kinds_of(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union, or the one type, without what `Annotated` adds."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from kinds_of(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from kinds_of(part)
    else:
        yield annotation
