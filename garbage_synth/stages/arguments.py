"""Arguments as they are written on a command line or in a pipeline, to the values that stage functions take."""

import re

from garbage_synth.errors import InputError

__all__ = ["parse_names", "parse_pair", "parse_words"]


def parse_pair(text: str, name: str, form: str) -> tuple[int, int]:
    """Two whole numbers of "640x480" or "3..12" (a single number N of "MIN..MAX" stands for N..N).

    Raises InputError naming the argument and the form that was expected.
    """
    separator = r"\.\." if ".." in form else "[xX]"
    match = re.fullmatch(rf"\s*(\d+)\s*(?:{separator}\s*(\d+)\s*)?", text)
    if match is None or (match[2] is None and ".." not in form):
        raise InputError(f"{name} {text!r} is not of the form {form}")
    return int(match[1]), int(match[2] or match[1])


def parse_words(text: str) -> tuple[str, ...]:
    """The words of a comma-separated list, blanks removed."""
    return tuple(word for word in (part.strip() for part in text.split(",")) if word)


def parse_names(text: str, name: str) -> dict[str, str]:
    """The pairs of "a=b,c=d", blanks removed.

    Raises InputError naming the argument where a part is no pair or a name on the left stands twice.
    """
    pairs: dict[str, str] = {}
    for part in parse_words(text):
        left, equals, right = (word.strip() for word in part.partition("="))
        if not (left and equals and right) or left in pairs:
            raise InputError(f"{name} {text!r} is not of the form NAME=NAME,... with each left name once")
        pairs[left] = right
    return pairs
