"""Location constraints, and the node attributes that their rules ask for.

See "Location constraints" and "Rules" in Pacemaker Explained.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Expression:
    """Compares an attribute of a node with a value."""

    attribute: str
    operation: str
    """lt, gt, lte, gte, eq, ne, defined or not_defined."""
    value: str = ""
    """Pacemaker does not distinguish an empty value from a missing one."""
    type: str = ""
    """string, integer, number or version; empty if the operation decides."""
    value_source: str = ""
    """literal (the default), or param or meta: then `value` names an attribute of the resource."""

    @property
    def evaluable(self) -> bool:
        """Whether the node's attributes decide."""
        return self.value_source in {"", "literal"}

    @property
    def refers_to_match(self) -> bool:
        """Whether %0 to %9 in the attribute stand for what the constraint's pattern matched."""
        return "%" in self.attribute


class _NotOfNodes:
    """A part of a rule that the attributes of nodes do not decide."""

    __slots__ = ()

    @property
    def evaluable(self) -> bool:
        """Always False."""
        return False

    @property
    def refers_to_match(self) -> bool:
        """Always False."""
        return False


@dataclass(frozen=True, slots=True)
class DateExpression(_NotOfNodes):
    """Holds from one moment to another, in seconds since the epoch."""

    start: float | None = None
    """None: since ever."""
    end: float | None = None
    """None: for ever."""

    def holds(self, now: float) -> bool:
        """Whether it holds at a moment."""
        return (self.start is None or self.start <= now) and (self.end is None or now <= self.end)


@dataclass(frozen=True, slots=True)
class Unevaluable(_NotOfNodes):
    """A part of a rule that neither node attributes nor two moments decide."""

    tag: str
    """date_expression, rsc_expression, op_expression, or rule for a reference within a rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A score for the nodes that satisfy all operands, or any.

    A rule has no id, so rules that say the same are equal.
    """

    operands: tuple["Operand", ...]
    boolean_op: str = "and"
    """`and` or `or`."""
    role: str = ""
    score: int = 0
    """INFINITY is 1000000. It means nothing in a rule within a rule."""
    score_attribute: str | None = None
    """Instead of `score`: the node attribute that has the score."""

    @property
    def evaluable(self) -> bool:
        """Whether node attributes decide every operand."""
        return all(operand.evaluable for operand in self.operands)

    @property
    def refers_to_match(self) -> bool:
        """Whether %0 to %9 stand for what the constraint's pattern matched."""
        return "%" in (self.score_attribute or "") or any(
            operand.refers_to_match for operand in self.operands
        )


Operand = Expression | DateExpression | Unevaluable | Rule


@dataclass(frozen=True, slots=True)
class LocationConstraint:
    """Says where resources may run: with a score on one node, or with rules.

    A constraint with several resource sets is several of these with one id, because each set has
    a role and score of its own.
    """

    id: str
    resources: tuple[str, ...] = ()
    """As written: ids of resources, tags or templates."""
    pattern: str = ""
    """Instead of resources: an extended regular expression, negated by a leading `!`."""
    node: str = ""
    """Empty if rules choose the nodes."""
    score: int = 0
    """Score on `node`. INFINITY is 1000000."""
    role: str = ""
    """Pacemaker ignores it if rules choose the nodes: they have roles of their own."""
    rules: tuple[Rule, ...] = ()
    rule_ids: tuple[str, ...] = ()
    """The id of each rule."""
    exclusive: bool = False
    """resource-discovery="exclusive": the resource may run only on nodes that such a constraint
    matches."""
    lifetime: bool = False
    """Has the deprecated element `lifetime`, whose rules say when it is in force."""

    @property
    def evaluable(self) -> bool:
        """Whether the nodes' attributes decide, and not the time or the resource's."""
        return not self.lifetime and all(rule.evaluable for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Locations:
    """What the configuration says about where resources may run."""

    constraints: tuple[LocationConstraint, ...] = ()
    node_attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Permanent attributes by the name of the node."""
    transient_attributes: frozenset[str] = frozenset()
    """Names of attributes that configured agents set, such as pingd, or that a rule with a time
    sets: their values are a condition of the node and not a wish."""
    symmetric: bool = True
    """The cluster property symmetric-cluster: resources may run where no constraint says so."""
    cluster_name: str = ""
    """The cluster property cluster-name, which rules may ask for; empty if it is not set."""
    dates: frozenset[DateExpression] = frozenset()
    """All date expressions in the rules of constraints."""
