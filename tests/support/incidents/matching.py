"""Matchers of labels, as Prometheus and Alertmanager have them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Matcher:
    """``name="value"``, ``!=``, ``=~`` or ``!~``."""

    name: str
    operator: str
    value: str

    @classmethod
    def read(cls, text: str) -> "Matcher":
        found = re.fullmatch(r'\s*(\w+)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*', text)
        if not found:
            raise ValueError(f"no matcher: {text!r}")
        return cls(found[1], found[2], found[3])

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.name, "")
        same = (
            re.fullmatch(self.value, value) is not None
            if "~" in self.operator
            else value == self.value
        )
        return same != self.operator.startswith("!")
