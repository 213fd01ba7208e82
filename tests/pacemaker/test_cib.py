"""The reader of the CIB."""

from collections.abc import Sequence

import pytest

from exporter.cluster.configuration import BundleConfiguration
from exporter.cluster.outcome import Outcome
from exporter.pacemaker import cib
from exporter.pacemaker.runner import Completed
from tests.support.harness.results import failed


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
def test_limits_of_a_bundle_are_read(attributes: str, expected: BundleConfiguration) -> None:
    for engine in ("podman", "docker", "rkt"):
        assert cib.parse(bundle(attributes, engine=engine)).bundles == {"b": expected}


def test_whole_cib_is_read_like_a_configuration() -> None:
    whole = b"<cib>" + bundle('promoted-max="3"') + b"<status/></cib>"
    assert cib.parse(whole) == cib.parse(bundle('promoted-max="3"'))


def test_bundle_without_a_primitive_has_no_promoted_max() -> None:
    assert cib.parse(bundle('promoted-max="1"', inside="")).bundles["b"].promoted_max == 0


def test_bootstrap_options_name_the_cluster() -> None:
    def properties(identity: str, name: str) -> str:
        pair = f'<nvpair name="x" value="y"/><nvpair name="cluster-name" value="{name}"/>'
        return f'<cluster_property_set id="{identity}">{pair}</cluster_property_set>'

    sets = properties("other", "second") + properties("cib-bootstrap-options", "first")
    assert cib.parse(configuration(f"<crm_config>{sets}</crm_config>")).cluster_name == "first"
    assert cib.parse(configuration("")).cluster_name == ""


def crm_config(**properties: str) -> bytes:
    pairs = "".join(
        f'<nvpair name="{name.replace("_", "-")}" value="{value}"/>'
        for name, value in properties.items()
    )
    properties_set = f'<cluster_property_set id="cib-bootstrap-options">{pairs}'
    return configuration(f"<crm_config>{properties_set}</cluster_property_set></crm_config>")


@pytest.mark.parametrize(
    ("properties", "found"),
    [({}, None), ({"have_watchdog": "true"}, True), ({"have_watchdog": "false"}, False)],
)
def test_watchdog_is_read(properties: dict[str, str], found: bool | None) -> None:
    assert cib.parse(crm_config(**properties)).watchdog is found


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 10),
        ("0", 0),
        ("10s", 10),
        (" 10 sec ", 10),
        ("5min", 300),
        ("5M", 300),
        ("10000ms", 10),
        ("1500msec", 1.5),
        ("2h", 7200),
        ("1hr", 3600),
        ("2500000us", 2.5),
        ("500us", 0),
        ("1.9s", 1),
        ("9" * 5000, float(10**18 - 1)),
        # Not a time to Pacemaker, which then calculates the timeout.
        *((text, -1) for text in ("-1", "-10s", "true", "auto", ".5", "10x", "PT10S")),
    ],
)
def test_watchdog_timeout_is_read_as_pacemaker_reads_it(text: str, seconds: float) -> None:
    """See crm_get_msec in lib/common/strings.c of Pacemaker 2.1 and 3.0."""
    for name in ("stonith_watchdog_timeout", "fencing_watchdog_timeout"):
        assert cib.parse(crm_config(**{name: text})).watchdog_timeout == seconds


def test_watchdog_timeout_that_is_not_set_is_unknown() -> None:
    assert cib.parse(crm_config()).watchdog_timeout is None
    assert cib.parse(crm_config(stonith_watchdog_timeout="")).watchdog_timeout is None
    both = crm_config(stonith_watchdog_timeout="20", fencing_watchdog_timeout="10")
    assert cib.parse(both).watchdog_timeout == 10


@pytest.mark.parametrize(
    ("data", "outcome", "words"),
    [
        (b"", Outcome.MALFORMED, "cibadmin did not print XML"),
        (b"<cib><configuration>", Outcome.MALFORMED, "ill-formed"),
        (b"<crm_mon/>", Outcome.MALFORMED, "<crm_mon>, not with <configuration>"),
        (b"<cib/>", Outcome.INCOMPLETE, "without a configuration"),
        (configuration("<resources><bundle/></resources>"), Outcome.MALFORMED, "no attribute id"),
    ],
)
def test_output_that_is_not_a_cib_is_refused(data: bytes, outcome: Outcome, words: str) -> None:
    failure = failed(cib.read(Completed(("cibadmin",), 0, data, "")))
    assert failure.outcome is outcome
    assert words in failure.message


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
def test_failed_cibadmin_has_an_outcome_and_its_message(status: int, outcome: Outcome) -> None:
    completed = Completed(("cibadmin",), status, b"", "Could not connect\nInit failed\n")
    failure = failed(cib.read(completed))
    assert failure.outcome is outcome
    assert "Init failed" in failure.message


class Cibadmin:
    """Remembers how it was asked."""

    def run(self, argv: Sequence[str], timeout: float) -> Completed:
        self.asked = (*argv, timeout)
        return Completed(tuple(argv), 0, b"", "")


def test_cibadmin_is_asked_for_the_local_configuration_only() -> None:
    commands = Cibadmin()
    cib.ask(commands, "/x/cibadmin", 7)
    assert commands.asked == ("/x/cibadmin", "--query", "--local", "--scope=configuration", 7)


def test_error_about_another_document_names_both_elements() -> None:
    failure = failed(cib.read(Completed(("cibadmin",), 0, b"<crm_mon/>", "")))
    assert failure.message == (
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
def test_preference_left_by_a_move_is_read(
    attributes: str, expected: tuple[int, bool] | None
) -> None:
    body = f'<rsc_location id="cli-prefer-a" rsc="a" node="n" {attributes}/>'
    seen = cib.parse(configuration(f"<constraints>{body}</constraints>")).preferences
    assert [(ban.score, ban.promoted_only) for ban in seen] == ([expected] if expected else [])


def test_unknown_bundle_is_refused_with_the_names_of_the_others() -> None:
    with pytest.raises(cib.UnknownBundleError, match="no bundle x: the CIB has b"):
        cib.parse_bundle(bundle(""), "x")
    with pytest.raises(cib.UnknownBundleError, match="no bundle x: the CIB has no bundles"):
        cib.parse_bundle(configuration(""), "x")
