"""What is held back, by the CIB alone and beside the real scheduler."""

import random
import subprocess
from pathlib import Path

import pytest

from exporter.cluster.model import Cluster, Snapshot, Ticket
from exporter.cluster.observation import Observation
from exporter.judgement.dependencies import Dependencies, HeldBack, HoldReason
from exporter.judgement.judge import judge
from exporter.pacemaker import cib
from tests.support.harness import see
from tests.support.model.constrained import (
    Constrained,
    clone,
    group,
    meta,
    primitive,
    resource_set,
)

STOPPED = {"target_role": "Stopped"}
ADDRESS = primitive("ip")
OFF = primitive("off", **STOPPED)
ON = primitive("on")


def bundle(name: str, **pairs: str) -> str:
    """Return a bundle with a primitive."""
    engine = '<podman image="i" replicas="3" promoted-max="1"/>'
    network = '<network control-port="3121"/>'
    return (
        f'<bundle id="{name}">{meta(name, **pairs)}{engine}{network}'
        f"{primitive(f'{name}-service')}</bundle>"
    )


def order(first: str, then: str, words: str = "") -> str:
    return f'<rsc_order id="c" first="{first}" then="{then}" {words}/>'


def colocation(dependent: str, primary: str, words: str = 'score="INFINITY"') -> str:
    return f'<rsc_colocation id="c" rsc="{dependent}" with-rsc="{primary}" {words}/>'


def of_sets(tag: str, *sets: str) -> str:
    score = ' score="INFINITY"' if tag == "rsc_colocation" else ""
    return f'<{tag} id="c"{score}>{"".join(sets)}</{tag}>'


def dependencies(
    *resources: str, constraint: str = "", tags: str = "", stop_all: bool = False
) -> Dependencies:
    """Return the dependencies in a CIB; of its tickets, `here` is granted and `away` is not."""
    written = Constrained(resources, (constraint,), tags=(tags,))
    tickets = Ticket("here", True, False), Ticket("away", False, False), Ticket("rest", True, True)
    snapshot = Snapshot(Cluster(stop_all_resources=stop_all), tickets=tickets)
    return Dependencies.of(Observation(snapshot, cib.parse(written.cib().encode())))


def disabled(name: str) -> HeldBack:
    return HeldBack(HoldReason.DISABLED, name, "c")


@pytest.mark.parametrize(
    "constraint",
    [
        order("off", "ip"),
        order("off", "ip", 'kind="Mandatory"'),
        order("off", "ip", 'kind="mandatory" first-action="start" then-action="start"'),
        order("off", "ip", 'score="10"'),
        colocation("ip", "off"),
        colocation("ip", "off", 'score="1000000" rsc-role="Started"'),
        colocation("ip", "tagged"),
        of_sets("rsc_order", resource_set("s", ["off", "ip"])),
        of_sets("rsc_order", resource_set("s", ["off"]), resource_set("t", ["ip"])),
        of_sets("rsc_colocation", resource_set("s", ["off", "ip"])),
        of_sets("rsc_colocation", resource_set("s", ["ip"]), resource_set("t", ["off"])),
    ],
)
def test_disabled_resource_holds_back_what_depends_on_it(constraint: str) -> None:
    tag = '<tag id="tagged"><obj_ref id="off"/></tag>'
    found = dependencies(OFF, ADDRESS, constraint=constraint, tags=tag)
    assert found.held_back("ip") == disabled("off")
    assert found.held_back("off") is None, "it is disabled, not held back"


@pytest.mark.parametrize(
    "constraint",
    [
        order("off", "ip", 'kind="Optional"'),
        order("off", "ip", 'kind="Serialize"'),
        order("off", "ip", 'score="0"'),
        order("off", "ip", 'first-action="stop" then-action="start"'),
        order("ip", "off"),
        colocation("ip", "off", 'score="1000"'),
        colocation("ip", "off", 'score="-INFINITY"'),
        colocation("ip", "off", ""),
        colocation("off", "ip"),
        colocation("ip", "off", 'score="INFINITY" with-rsc-role="Stopped"'),
        colocation("ip", "unknown"),
        of_sets("rsc_order", resource_set("s", ["off", "ip"], sequential="false")),
        of_sets(
            "rsc_order",
            resource_set("s", ["off", "on"], sequential="false", require_all="false"),
            resource_set("t", ["ip"]),
        ),
        of_sets("rsc_colocation", resource_set("s", ["off"]), resource_set("t", ["ip"])),
    ],
)
def test_other_constraints_hold_nothing_back(constraint: str) -> None:
    assert dependencies(OFF, ON, ADDRESS, constraint=constraint).held_back("ip") is None


def test_dependency_goes_through_others_and_names_the_first() -> None:
    chain = order("off", "on") + order("on", "ip").replace('"c"', '"d"', 1)
    found = dependencies(OFF, ON, ADDRESS, constraint=chain)
    assert found.held_back("ip") == HeldBack(HoldReason.DISABLED, "off", "d")


def test_circle_of_dependencies_ends() -> None:
    circle = order("on", "ip") + order("ip", "on")
    assert dependencies(ON, ADDRESS, constraint=circle).held_back("ip") is None


def test_addresses_of_a_disabled_bundle_are_held_back() -> None:
    for constraint in (order("b", "ip"), colocation("ip", "b")):
        found = dependencies(bundle("b", **STOPPED), ADDRESS, constraint=constraint)
        assert found.held_back("ip") == disabled("b")
    assert dependencies(bundle("b"), ADDRESS, constraint=order("b", "ip")).held_back("ip") is None


def test_disabled_member_of_a_group_holds_back_the_members_after_it() -> None:
    members = [primitive("one"), primitive("two", **STOPPED), primitive("three")]
    found = dependencies(group("g", members), ADDRESS, constraint=order("g", "ip"))
    assert found.held_back("one") is found.held_back("two") is None
    assert found.held_back("three") == HeldBack(HoldReason.DISABLED, "two")
    assert found.held_back("ip") == disabled("two")
    loose = dependencies(group("g", members, ordered="false", collocated="false"))
    assert loose.held_back("three") is None


def test_constraint_on_a_group_or_clone_is_for_its_members() -> None:
    members = [primitive("one"), primitive("two")]
    found = dependencies(OFF, group("g", members), constraint=colocation("g", "off"))
    assert found.held_back("one") == found.held_back("two") == disabled("off")
    found = dependencies(OFF, clone("k", primitive("one")), constraint=order("off", "k"))
    assert found.held_back("one") == disabled("off")


def test_whole_disabled_group_or_clone_is_named() -> None:
    whole = group("g", [primitive("one")], **STOPPED), clone("k", primitive("two"), **STOPPED)
    for name in ("g", "k"):
        found = dependencies(*whole, ADDRESS, constraint=order(name, "ip"))
        assert found.held_back("ip") == disabled(name)


@pytest.mark.parametrize(
    ("words", "held_back", "demoted"),
    [
        ('ticket="away"', True, True),
        ('ticket="rest"', True, True),
        ('ticket="here"', False, False),
        ('ticket="never-heard-of"', False, False),
        ('ticket="away" loss-policy="fence"', True, True),
        ('ticket="away" rsc-role="Promoted"', False, True),
        ('ticket="away" rsc-role="Master" loss-policy="demote"', False, True),
        ('ticket="away" rsc-role="Master" loss-policy="stop"', True, True),
    ],
)
def test_ticket_that_is_not_granted_holds_back(words: str, held_back: bool, demoted: bool) -> None:
    constraint = f'<rsc_ticket id="c" rsc="b" {words}/>'
    found = dependencies(bundle("b"), constraint=constraint)
    assert (found.held_back("b") is not None) == held_back
    assert (found.promotion_held_back("b") is not None) == demoted
    reason = found.promotion_held_back("b")
    assert reason is None or reason.reason is HoldReason.TICKET


def test_promotion_alone_can_be_held_back() -> None:
    constraint = colocation("b", "off", 'score="INFINITY" rsc-role="Promoted"')
    found = dependencies(OFF, bundle("b"), constraint=constraint)
    assert found.held_back("b") is None
    assert found.promotion_held_back("b") == disabled("off")


def test_what_needs_a_promoted_resource_is_held_back_by_a_demoted_one() -> None:
    for constraint in (
        order("b", "ip", 'first-action="promote" then-action="start"'),
        colocation("ip", "b", 'score="INFINITY" with-rsc-role="Master"'),
    ):
        found = dependencies(bundle("b", target_role="Slave"), ADDRESS, constraint=constraint)
        assert found.held_back("ip") == HeldBack(HoldReason.DEMOTED, "b", "c")
        assert found.held_back("b") is None


def test_stop_all_resources_holds_everything_back() -> None:
    found = dependencies(ADDRESS, stop_all=True).held_back("ip")
    assert found == HeldBack(HoldReason.STOP_ALL)


def test_reasons_are_sentences() -> None:
    assert disabled("b").words == "b, which is disabled"
    assert HeldBack(HoldReason.TICKET, "t").words == "ticket t, which is not granted"
    assert HeldBack(HoldReason.STOP_ALL).words == "stop-all-resources"


# ---- Beside the real scheduler ----


class Draw:
    """Draws resources, some of them disabled, and constraints between them."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kinds = self._random.choices("pgcmG", k=self._random.randint(3, 6))

    def draw(self) -> Constrained:
        resources = tuple(self._resource(f"r{i}", kind) for i, kind in enumerate(self._kinds))
        drawn = [self._constraint(f"c{i}") for i in range(self._random.randint(1, 5))]
        return Constrained(resources, tuple(drawn), (("here", True), ("away", False)))

    def _role(self) -> dict[str, str]:
        return self._random.choice([{}, {}, {}, STOPPED, {"target_role": "Started"}])

    def _resource(self, name: str, kind: str) -> str:
        # The second member is disabled only with the first. Else the scheduler starts the first in
        # spite of an order on the group, and nothing that is ordered after a clone of such a group.
        role = self._role()
        members = [primitive(f"{name}a", **role), primitive(f"{name}b", **role)]
        if kind == "p":
            return primitive(name, **self._role())
        if kind == "g":
            return group(name, members, **self._random.choice([{}, {}, STOPPED]))
        if kind == "c":
            return clone(name, members[0], **self._role())
        if kind == "m":
            return clone(name, members[0], promotable="true", **self._role())
        return clone(name, group(f"{name}g", members))

    def _constraint(self, name: str) -> str:
        first, then = sorted(self._random.sample(range(len(self._kinds)), 2))
        chance = self._random.random()
        if chance < 0.3:
            return order(f"r{first}", f"r{then}").replace('"c"', f'"{name}"', 1)
        if chance < 0.6:
            score = self._random.choice(["INFINITY", "INFINITY", "100"])
            return colocation(f"r{then}", f"r{first}", f'score="{score}"').replace(
                '"c"', f'"{name}"', 1
            )
        if chance < 0.8:
            ticket = self._random.choice(["here", "away"])
            return f'<rsc_ticket id="{name}" rsc="r{then}" ticket="{ticket}"/>'
        return self._sets(name)

    def _sets(self, name: str) -> str:
        most = len(self._kinds)
        places = sorted(self._random.sample(range(most), self._random.randint(2, min(4, most))))
        cut = self._random.randint(1, len(places))
        words = self._random.choice([{}, {"sequential": "false"}, {"sequential": "true"}])
        sets = [
            resource_set(f"{name}-{i}", [f"r{place}" for place in part], **words)
            for i, part in enumerate((places[:cut], places[cut:]))
            if part
        ]
        if self._random.random() < 0.5:
            return f'<rsc_order id="{name}">{"".join(sets)}</rsc_order>'
        # In colocations a set depends on the one after it.
        inside = "".join(reversed(sets))
        return f'<rsc_colocation id="{name}" score="INFINITY">{inside}</rsc_colocation>'


def started(file: Path, simulated: Path) -> set[str]:
    """Return the resources that run after everything that the scheduler wants was done."""
    command = (see.need("crm_simulate"), "-x", file, "--simulate", "--save-output", simulated)
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return {
        instance.resource.id.partition(":")[0]
        for instance in see.observe(simulated).snapshot.instances
        if instance.resource.running
    }


def expected(file: Path) -> set[str]:
    """Return the resources that the judgement expects to run."""
    return {
        judged.resource.id.partition(":")[0]
        for judged in judge(see.observe(file)).instances
        if judged.held_back is None and not judged.resource.disabled
    }


@pytest.mark.real
@pytest.mark.parametrize("seed", range(30))
def test_scheduler_starts_what_is_expected(seed: int, tmp_path: Path) -> None:
    file = tmp_path / "cib.xml"
    file.write_text(Draw(seed).draw().cib(), encoding="utf-8")
    assert expected(file) == started(file, tmp_path / "simulated.xml")
