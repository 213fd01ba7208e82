"""Hides the secrets in the configuration of a bundle."""

import re
from dataclasses import replace

from exporter.cluster.details import BundleDetails, Pairs

HIDDEN = "(hidden)"
# Names that look secret. Better hide too much: `auth` also matches `author`.
_SECRET = re.compile(
    r"pass|psw|pwd|secret|token|cred|cookie|auth|salt|fernet|signature|priv(?!ileg)"
    r"|key(?!stone|word|board)",
    re.IGNORECASE,
)
# A shell word with its quotes; an unclosed quote extends to the end.
_SHELL_WORD = re.compile(
    r"""(?:"(?:\\.|[^"\\])*"?|'[^']*'?|\\.?|[^\s"'\\])+""",
    re.DOTALL,
)
_QUOTES = re.compile(r"[\"'\\]")
# --env=NAME=, NAME=
_NAMES = re.compile(r"[^=]*=(?:[\w.-]+=)*")
# Values that may be shown: without blanks, quotes, brackets, expansions and @.
_PLAIN = re.compile(r"[\w./:,+%-]*", re.ASCII)


def without_secrets(details: BundleDetails) -> BundleDetails:
    """Hide every value whose name looks secret, also inside options and commands."""
    primitive = details.primitive
    return replace(
        details,
        container=_masked(details.container),
        network=_masked(details.network),
        port_mappings=tuple(map(_masked, details.port_mappings)),
        storage_mappings=tuple(map(_masked, details.storage_mappings)),
        primitive=primitive
        and replace(
            primitive,
            instance_attributes=_masked(primitive.instance_attributes),
            meta_attributes=_masked(primitive.meta_attributes),
            operations=tuple(map(_masked, primitive.operations)),
        ),
        meta_attributes=_masked(details.meta_attributes),
    )


def _masked(pairs: Pairs) -> Pairs:
    return tuple(
        (name, HIDDEN if _SECRET.search(name) and value else _mask(value)) for name, value in pairs
    )


def _mask(text: str) -> str:
    """Hide values in what may be a command line: those with secret names and those not plain."""
    parts: list[str] = []
    position, hide_next = 0, False
    for match in _SHELL_WORD.finditer(text):
        word = match.group()
        parts.append(text[position : match.start()])
        position = match.end()
        if hide_next and word in {"=", ":"}:
            parts.append(word)
        elif hide_next and not word.startswith("--"):
            parts.append(HIDDEN)
            hide_next = False
        else:
            parts.append(_mask_word(word))
            hide_next = _is_followed_by_secret(_QUOTES.sub("", word))
    return "".join(parts) + text[position:]


def _is_followed_by_secret(bare: str) -> bool:
    """Whether the next word is the value of a secret that this word names.

    Examples: --password x, requirepass x, password: x, PASSWORD= x, {"password": x.

    Args:
        bare: the word without its quotes.

    """
    if "/" in bare or not _SECRET.search(bare):
        return False
    return "=" not in bare or bare[-1] in "=:" or bare.count("{") > bare.count("}")


def _mask_word(word: str) -> str:
    names = _NAMES.match(word)
    if names is None:
        bare = _QUOTES.sub("", word)
        name, _, value = bare.partition(":")
        if value and "/" not in name and _SECRET.search(name):
            return f"{name}:{HIDDEN}"
        return word if _PLAIN.fullmatch(bare) else HIDDEN
    kept, value = names.group(), _QUOTES.sub("", word[names.end() :])
    if not value or (
        kept.isascii() and not _SECRET.search(_QUOTES.sub("", kept)) and _PLAIN.fullmatch(value)
    ):
        return word
    quote = word[0] if word[0] in "\"'" and word.endswith(word[0]) else ""
    return kept + HIDDEN + quote
