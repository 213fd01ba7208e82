"""The status page in a real Chromium."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from exporter.demo import DemoCommands
from exporter.errors import Outcome
from exporter.poller import Poller, Site
from exporter.state import Identity, State
from exporter.web.status_page import Surroundings
from tests.support.browser import Browser, Still, chromium, served
from tests.support.programs import eventually
from tests.support.status import (
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
    """The demonstration's clock: as far into the story as a test wants."""

    seconds: float = 0

    def time(self) -> float:
        return NOW + self.seconds

    def monotonic(self) -> float:
        return MONOTONIC + self.seconds


def _demo() -> Iterator[tuple[str, State]]:
    clock = _Later()
    poller = Poller(Site(DemoCommands(clock)), clock, interval=10, timeout=30)
    for clock.seconds in range(5, 300, 15):
        poller.poll()
        sighting = poller.state.sighting
        assert sighting is not None
        at = replace(sighting, time=NOW, monotonic=MONOTONIC)
        yield f"demo {clock.seconds}", replace(poller.state, sighting=at, last_poll_time=NOW)


STATES.update(_demo())


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
    around = Surroundings("/metrics", "https://example.com/runbooks", demo=True)
    with served(lambda: site.state, identity, Still(NOW, MONOTONIC), around) as url:
        site.url = url
        yield site


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", STATES)
def test_every_text_can_be_read(name: str, scheme: str, site: Shown, browser: Browser) -> None:
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
def test_nothing_is_beside_the_screen(name: str, site: Shown, browser: Browser) -> None:
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


def test_names_stay_names(site: Shown, browser: Browser) -> None:
    site.state = STATES["hostile"]
    browser.show(site.url)
    assert browser.ask("return document.title").startswith("Something is wrong with bundle-1")
    assert browser.ask("return document.scripts.length + document.images.length") == 0
    assert f"bundle-1{HOSTILE}" in browser.texts("h3")
    assert f"node-0{HOSTILE}" in browser.texts("tbody th")
    assert browser.requests() == [site.url]
    assert browser.complaints() == []


def test_a_policy_that_is_broken_would_be_seen(site: Shown, browser: Browser) -> None:
    """The tests above would tell: this is what they look for."""
    browser.show(f"{site.url}?refresh=off")
    browser.ask(
        "const s = document.createElement('style'); s.textContent = 'body { margin: 0 }';"
        "document.head.append(s);"
        "const i = document.createElement('img'); i.src = 'x.png'; document.body.append(i);"
    )
    told = " ".join(eventually(browser.complaints, 10))
    assert "Content Security Policy" in told


def test_it_refreshes_itself(site: Shown, browser: Browser) -> None:
    site.state = STATES["healthy"]
    browser.show(site.url)
    assert browser.texts("#verdict") == ["Nothing is wrong"]
    site.state = STATES["wrong"]
    eventually(lambda: browser.texts("#verdict") == ["Something is wrong with 2 bundles"], 20)
    assert set(browser.requests()) == {site.url}
    assert browser.complaints() == []


def test_the_keyboard_leads_everywhere_and_shows_where_it_is(site: Shown, browser: Browser) -> None:
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
    assert visited[:3] == ["Resume refreshing", "bundle-1", "bundle-2"]
    assert visited[-4:] == ["Metrics", "Health", "Readiness", "Runbooks"]


def test_tables_stay_tables_on_narrow_screens(site: Shown, browser: Browser) -> None:
    """Styles that lay rows out as cards take their meaning off them, if roles do not say it."""
    site.state = STATES["wrong"]
    for width in (360, 1280):
        browser.show(f"{site.url}?refresh=off", width=width)
        tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})
        roles = [node["role"]["value"] for node in tree["nodes"] if not node["ignored"]]
        for role in ("table", "rowheader", "columnheader", "cell", "banner", "main"):
            assert role in roles, (role, width)
        assert roles.count("table") == 7
        assert roles.count("rowheader") == 12 + 3 + 1 + 1


def test_colour_is_never_alone(site: Shown, browser: Browser) -> None:
    """Each tone that is shown has a shape of its own, beside words."""
    shapes: dict[str, str] = {}
    for name, state in STATES.items():
        if name.startswith("demo"):
            site.state = state
            browser.show(f"{site.url}?refresh=off")
            shapes |= dict(
                browser.ask(
                    "return [...document.querySelectorAll('main .tone')].map(e => {"
                    "const s = getComputedStyle(e, '::before');"
                    "return [e.className, [s.clipPath, s.borderRadius, s.borderStyle].join()]})"
                )
            )
    assert len(shapes) == 6
    assert len(set(shapes.values())) == 6
    assert all(browser.texts("td .tone"))
