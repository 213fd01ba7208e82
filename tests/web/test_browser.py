"""The status page in a real Chromium."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from exporter.cluster.outcome import Outcome
from exporter.judgement.judge import judge
from exporter.metrics.exporter import Identity
from exporter.pacemaker.demo import DemoCommands
from exporter.polling.poller import Poller
from exporter.polling.state import State
from exporter.sources.tools import SourceContext, Tools
from exporter.web.status_page import PageOptions
from tests.support.harness.browser import Browser, Still, chromium, served
from tests.support.harness.programs import eventually
from tests.support.model.status import (
    HOSTILE,
    MONOTONIC,
    NOW,
    cluster,
    seen,
    unseen,
    without_quorum,
)

pytestmark = pytest.mark.browser

LONG = "x" * 100
STATES = {
    "healthy": seen(cluster(4)),
    "wrong": seen(cluster(4, wrong=[1, 2])),
    "hundred": seen(cluster(100, wrong=[7, 70])),
    "all wrong": seen(cluster(40, wrong=range(40))),
    "hostile": seen(cluster(3, wrong=[1], suffix=HOSTILE)),
    "long": seen(cluster(3, wrong=[1], suffix=LONG)),
    "no quorum": seen(without_quorum(cluster(2))),
    "stale": seen(cluster(2), Outcome.TIMEOUT, age=45),
    "withdrawn": seen(cluster(2), Outcome.TIMEOUT, age=91),
    "not connected": unseen(Outcome.NOT_CONNECTED, last_seen=NOW - 600),
    "denied": unseen(Outcome.PERMISSION_DENIED),
    "none yet": State(),
}


@dataclass
class _Later:
    """A clock at a chosen moment of the demonstration."""

    seconds: float = 0

    def time(self) -> float:
        return NOW + self.seconds

    def monotonic(self) -> float:
        return MONOTONIC + self.seconds


def _demo(demo: str, moments: Iterable[int]) -> Iterator[tuple[str, State]]:
    clock = _Later()
    poller = Poller(SourceContext(Tools(DemoCommands(clock, name=demo)), clock, 30), 10)
    for clock.seconds in moments:
        poller.poll()
        seen = poller.state.observation
        assert seen is not None
        yield (
            f"{demo} {clock.seconds}",
            replace(
                poller.state,
                judgement=judge(replace(seen, taken=NOW)),
                started=MONOTONIC,
                last_poll_time=NOW,
            ),
        )


STATES.update(_demo("bundles", range(5, 300, 15)))
CLOUD = dict(_demo("cloud", [5, 65, 100, 140, 225]))
WORST = "cloud 140"
"""A rack is lost, a replica of Galera has failed, and an address is stopped."""
STATES[WORST] = CLOUD[WORST]
# Each was published by a poll of its own.
STATES.update({name: replace(state, polls=n) for n, (name, state) in enumerate(STATES.items())})
CLOUD.update(
    {name: replace(state, polls=1000 + n) for n, (name, state) in enumerate(CLOUD.items())}
)


@dataclass
class Shown:
    """A server that shows what the test says."""

    url: str = ""
    state: State = field(default_factory=State)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def site() -> Iterator[Shown]:
    site = Shown()
    identity = Identity("1.2.3", "abc", "3.11", poll_interval=1, max_age=90)
    around = PageOptions("/metrics", "https://example.com/runbooks", demo=True)
    with served(lambda: site.state, identity, Still(NOW, MONOTONIC), around) as url:
        site.url = url
        yield site


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", STATES)
def test_every_text_has_enough_contrast(
    name: str, scheme: str, site: Shown, browser: Browser
) -> None:
    site.state = STATES[name]
    browser.show(f"{site.url}?refresh=off", scheme=scheme)
    browser.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
    found = browser.contrasts()
    assert len(found) > 10
    assert [(text, round(ratio, 2)) for ratio, text in found if ratio < 4.5] == []
    (ground,) = {browser.ask("return getComputedStyle(document.body).backgroundColor")}
    assert (sum(map(int, ground[4:-1].split(","))) < 384) == (scheme == "dark")
    assert browser.requests() == [f"{site.url}?refresh=off"]
    assert browser.complaints() == []


@pytest.mark.parametrize("name", STATES)
def test_no_content_overflows_the_screen(name: str, site: Shown, browser: Browser) -> None:
    site.state = STATES[name]
    for width in (320, 360, 700, 800, 1280):
        browser.show(f"{site.url}?refresh=off", width=width)
        browser.ask("document.querySelectorAll('details').forEach(e => e.open = true)")
        # But for what is there to be heard only.
        beside = browser.ask(
            "return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()"
            " && !e.closest('thead, .hidden') && e.getBoundingClientRect().right > innerWidth + 1)"
            ".map(e => e.outerHTML.slice(0, 200))"
        )
        assert beside == [], width
        assert browser.ask("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", CLOUD)
def test_cloud_takes_at_most_five_screens_of_a_phone(
    name: str, site: Shown, browser: Browser
) -> None:
    site.state = CLOUD[name]
    browser.show(f"{site.url}?refresh=off", width=400)
    assert len(browser.texts("#all-nodes tbody tr")) == 303
    assert browser.ask("return document.documentElement.scrollHeight") <= 5 * 800


def test_markup_in_names_is_shown_as_text(site: Shown, browser: Browser) -> None:
    site.state = STATES["hostile"]
    browser.show(site.url)
    assert browser.ask("return document.title").startswith("Something is wrong with bundle-1")
    assert browser.ask("return document.scripts.length + document.images.length") == 0
    assert f"bundle-1{HOSTILE}" in browser.texts("h3")
    assert f"node-0{HOSTILE}" in browser.texts("tbody th")
    assert browser.requests() == [site.url]
    assert browser.complaints() == []


def test_violation_of_the_policy_is_detected(site: Shown, browser: Browser) -> None:
    """The tests above look for this violation."""
    browser.show(f"{site.url}?refresh=off")
    browser.ask(
        "const s = document.createElement('style'); s.textContent = 'body { margin: 0 }';"
        "document.head.append(s);"
        "const i = document.createElement('img'); i.src = 'x.png'; document.body.append(i);"
    )
    told = " ".join(eventually(browser.complaints, 10))
    assert "Content Security Policy" in told


WRONG = "Something is wrong with bundle-1 and bundle-2"


def test_page_refreshes_itself(site: Shown, browser: Browser) -> None:
    site.state = STATES["healthy"]
    browser.show(site.url)
    assert browser.texts("#verdict") == ["Nothing is wrong"]
    site.state = STATES["wrong"]
    eventually(lambda: browser.texts("#verdict") == [WRONG], 20)
    assert set(browser.requests()) == {site.url}
    assert browser.complaints() == []


def test_keyboard_reaches_every_control_with_a_visible_focus(site: Shown, browser: Browser) -> None:
    site.state = STATES["wrong"]
    browser.show(f"{site.url}?refresh=off")
    visited = []
    for _ in range(30):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        tag, text, style, width = browser.ask(
            "const e = document.activeElement, s = getComputedStyle(e);"
            "return [e.tagName, e.textContent.trim(), s.outlineStyle, parseFloat(s.outlineWidth)]"
        )
        if tag == "BODY":
            break
        assert (style, width) == ("solid", 3), text
        visited.append(text)
    assert visited[:3] == ["Resume refreshing", "bundle-1 is degraded", "bundle-2 is degraded"]
    assert visited[-5:] == ["Metrics", "JSON", "Health", "Readiness", "Runbooks"]


def test_tables_keep_their_roles_on_narrow_screens(site: Shown, browser: Browser) -> None:
    """Rows styled as cards lose their meaning without explicit roles."""
    site.state = STATES["wrong"]
    for width in (360, 1280):
        browser.show(f"{site.url}?refresh=off", width=width)
        tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
        roles = [node["role"]["value"] for node in tree["nodes"] if not node["ignored"]]
        for role in ("table", "rowheader", "columnheader", "cell", "banner", "main"):
            assert role in roles, (role, width)
        assert roles.count("table") == 7
        assert roles.count("rowheader") == 12 + 3 + 1 + 1


def test_every_colour_comes_with_a_shape_and_words(site: Shown, browser: Browser) -> None:
    """Each shown tone has its own shape beside words."""
    shapes: dict[str, str] = {}
    for name, state in STATES.items():
        if name.startswith("bundles "):
            site.state = state
            browser.show(f"{site.url}?refresh=off")
            shapes |= dict(
                browser.ask(
                    "return [...document.querySelectorAll('main .tone')].map(e => {"
                    "const s = getComputedStyle(e, '::before');"
                    "return [e.className, [s.clipPath, s.borderRadius, s.borderStyle].join()]})"
                )
            )
    assert len(shapes) == 7
    assert len(set(shapes.values())) == 7
    assert all(browser.texts("td .tone"))
