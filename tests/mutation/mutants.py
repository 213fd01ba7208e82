"""The mutants of a source file: Cosmic Ray's operators, and one of our own for texts."""

import ast
import difflib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator

_CORE = (
    *("ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add"),
    *("ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq"),
    *("ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_Lt_GtE"),
    *("ReplaceComparisonOperator_LtE_Lt", "ReplaceComparisonOperator_LtE_Gt"),
    *("ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_Gt_LtE"),
    *("ReplaceComparisonOperator_GtE_Gt", "ReplaceComparisonOperator_GtE_Lt"),
    *("ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is"),
    *("ReplaceUnaryOperator_USub_UAdd", "ReplaceUnaryOperator_Delete_Not", "AddNot"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("ExceptionReplacer", "NumberReplacer", "RemoveDecorator"),
)
"""Not all: each comparison becomes its opposite and its neighbour, and that will do."""


class ReplaceText(Operator):  # type: ignore[misc]  # Cosmic Ray has no types
    """Changes a text, such as the name of an XML attribute."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - parso's
        """Texts, and the constant parts of f-strings, but for docstrings."""
        statement = node.parent is not None and node.parent.type == "simple_stmt"
        if (node.type == "string" and not statement) or node.type == "fstring_string":
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:  # noqa: ANN401 - parso's
        """Insert a character before the closing quote."""
        end = 0 if node.type == "fstring_string" else 3 if node.value[-3:] in {'"""', "'''"} else 1
        node.value = f"{node.value[: len(node.value) - end]}XX{node.value[len(node.value) - end :]}"
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        """Examples for the documentation of Cosmic Ray."""
        return (Example('x = "a"', 'x = "aXX"'),)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a source file can be changed, and how."""

    operator: str
    occurrence: int


@dataclass(frozen=True, slots=True)
class Mutant:
    """A source file with one thing in it changed."""

    operator: str
    line: int
    text: str
    diff: str
    """The lines that changed, before and after."""


_OPERATORS = {name: get_operator(f"core/{name}")() for name in _CORE} | {
    "ReplaceText": ReplaceText()
}


def places(source: str) -> list[Place]:
    """Everything that can be changed in a source file."""
    nodes: list[Any] = [get_ast(source)]
    counts: Counter[str] = Counter()
    while nodes:
        node = nodes.pop()
        for name, operator in _OPERATORS.items():
            counts[name] += len(list(operator.mutation_positions(node)))
        nodes.extend(getattr(node, "children", ()))
    return [Place(name, number) for name, count in counts.items() for number in range(count)]


def mutant(source: str, place: Place) -> Mutant | None:
    """Return the changed source, or None if the program stays the same."""
    text = mutate_code(source, _OPERATORS[place.operator], place.occurrence)
    if text is None or text == source:
        return None
    try:
        ast.parse(text)
    except SyntaxError:
        return None
    # Options of dataclasses keep programmers from mistakes: no test can tell.
    lines = list(difflib.unified_diff(source.split("\n"), text.split("\n"), lineterm="", n=0))
    if "@dataclass(" in lines[3]:
        return None
    line = int(lines[2].split()[1].lstrip("-").split(",")[0])
    return Mutant(place.operator, line, text, "\n".join(lines[3:]))
