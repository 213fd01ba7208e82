"""The reader of the CIB."""

from collections.abc import Sequence

import pytest

from exporter import cib
from exporter.command import Completed
from exporter.errors import Outcome, PollError
from exporter.model import BundleConfiguration


def configuration(body: str) -> bytes:
    return f"<configuration>{body}</configuration>".encode()


def bundle(attributes: str, inside: str = '<primitive id="p"/>', engine: str = "podman") -> bytes:
    inner = f'<bundle id="b"><{engine} image="i" {attributes}/>{inside}</bundle>'
    return configuration(f"<resources>{inner}</resources>")


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", BundleConfiguration(0, 1)),
        ('promoted-max="3"', BundleConfiguration(3, 1)),
        ('masters="2" replicas-per-host="4"', BundleConfiguration(2, 4)),
        ('masters="2" promoted-max="1"', BundleConfiguration(1, 1)),
        ('promoted-max="-1" replicas-per-host="0"', BundleConfiguration(0, 1)),
        ('promoted-max="" replicas-per-host="many"', BundleConfiguration(0, 1)),
    ],
)
def test_limits_of_a_bundle(attributes: str, expected: BundleConfiguration) -> None:
    for engine in ("podman", "docker", "rkt"):
        assert cib.parse(bundle(attributes, engine=engine)).bundles == {"b": expected}


def test_a_whole_cib_will_do_too() -> None:
    whole = b"<cib>" + bundle('promoted-max="3"') + b"<status/></cib>"
    assert cib.parse(whole) == cib.parse(bundle('promoted-max="3"'))


def test_only_a_primitive_can_be_promoted() -> None:
    assert cib.parse(bundle('promoted-max="1"', inside="")).bundles["b"].promoted_max == 0


def test_name_of_the_cluster() -> None:
    def properties(identity: str, name: str) -> str:
        pair = f'<nvpair name="x" value="y"/><nvpair name="cluster-name" value="{name}"/>'
        return f'<cluster_property_set id="{identity}">{pair}</cluster_property_set>'

    sets = properties("other", "second") + properties("cib-bootstrap-options", "first")
    assert cib.parse(configuration(f"<crm_config>{sets}</crm_config>")).cluster_name == "first"
    assert cib.parse(configuration("")).cluster_name == ""


@pytest.mark.parametrize(
    ("data", "outcome", "words"),
    [
        (b"", Outcome.MALFORMED, "cibadmin printed no XML"),
        (b"<cib><configuration>", Outcome.MALFORMED, "ill-formed"),
        (b"<crm_mon/>", Outcome.MALFORMED, "<crm_mon>, not with <configuration>"),
        (b"<cib/>", Outcome.INCOMPLETE, "without a configuration"),
        (configuration("<resources><bundle/></resources>"), Outcome.MALFORMED, "no attribute id"),
    ],
)
def test_what_is_no_cib(data: bytes, outcome: Outcome, words: str) -> None:
    with pytest.raises(PollError, match=words) as caught:
        cib.read(Completed(("cibadmin",), 0, data, ""))
    assert caught.value.outcome is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (102, Outcome.NOT_CONNECTED),
        (107, Outcome.NOT_CONNECTED),
        (4, Outcome.PERMISSION_DENIED),
        (1, Outcome.EXIT_STATUS),
        (-11, Outcome.EXIT_STATUS),
    ],
)
def test_a_cibadmin_that_fails(status: int, outcome: Outcome) -> None:
    with pytest.raises(PollError, match="Init failed") as caught:
        cib.read(Completed(("cibadmin",), status, b"", "Could not connect\nInit failed\n"))
    assert caught.value.outcome is outcome


class Cibadmin:
    """Remembers how it was asked."""

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        self.asked = (*argv, timeout)
        return Completed(tuple(argv), 0, b"", "")


def test_only_the_configuration_of_this_node_is_asked_for() -> None:
    commands = Cibadmin()
    cib.ask(commands, "/x/cibadmin", 7)
    assert commands.asked == ("/x/cibadmin", "--query", "--local", "--scope=configuration", 7)


def test_what_is_no_cib_is_told_in_full() -> None:
    with pytest.raises(PollError) as caught:
        cib.parse(b"<crm_mon/>")
    assert str(caught.value) == (
        "cibadmin printed XML that starts with line 1: <crm_mon>, not with <configuration>"
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('score="1" role="Promoted"', (1, True)),
        ('score="INFINITY" role="Master"', (1_000_000, True)),
        ('score="1" role="Started"', (1, False)),
        ('score="1"', (1, False)),
        ('score="0"', None),
        ('score="-1"', None),
        ("", None),
    ],
)
def test_what_a_move_leaves_behind(attributes: str, expected: tuple[int, bool] | None) -> None:
    body = f'<rsc_location id="cli-prefer-a" rsc="a" node="n" {attributes}/>'
    seen = cib.parse(configuration(f"<constraints>{body}</constraints>")).preferences
    assert [(ban.score, ban.promoted_only) for ban in seen] == ([expected] if expected else [])


def test_an_unknown_bundle_is_told_of_those_that_there_are() -> None:
    with pytest.raises(cib.UnknownBundleError, match="no bundle x: there are b"):
        cib.parse_bundle(bundle(""), "x")
    with pytest.raises(cib.UnknownBundleError, match="no bundle x: there are none"):
        cib.parse_bundle(configuration(""), "x")
