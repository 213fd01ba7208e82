"""The models that incidents are played with, against Prometheus and Alertmanager themselves."""

import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import see
from tests.support.harness.alerting import Receiver, alertmanager
from tests.support.incidents.alertmanager import Alertmanager, Notification, duration
from tests.support.incidents.picture import Reader
from tests.support.incidents.prometheus import Labels, Sent
from tests.support.incidents.timeline import ALERTMANAGER, Played, play
from tests.support.oracle.rules import read

# ---- Alertmanager ----

REPLAYED = (
    "The replicas of Galera return one after the other",
    "A controller reboots without standby, and takes long",
    "A bundle is down, and then maintenance mode begins",
    "Prometheus restarts while a bundle is degraded",
    "A resource fails",
)
UNTIL = 2400.0
"""Seconds of a timeline that are replayed."""
PACES = (110.0, 40.0)
"""Seconds of a timeline in one real second: the second if the machine is too busy for the first."""
CLOSE = 75.0
"""By how many seconds of the timeline a notification may be late."""
CHANGED = {
    # So that something is repeated within that time.
    "repeat_interval": {"4h": "19m", "1d": "19m"},
    # Prometheus sends each minute: what is sent in the moment of a notification is in it or not.
    "group_wait": {"1m": "45s"},
}


@dataclass(frozen=True)
class Paced:
    """Timelines in real time."""

    began: float
    pace: float

    def real(self, at: float) -> float:
        return self.began + at / self.pace

    def simulated(self, at: float) -> float:
        return (at - self.began) * self.pace

    def stamp(self, at: float) -> str:
        seconds = self.real(at)
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{whole}.{int(seconds % 1 * 1000):03}Z"


def configured(receiver: str, pace: float) -> dict[str, Any]:
    """The shipped configuration, faster, and with our receiver in it."""
    shipped: dict[str, Any] = read(ALERTMANAGER)

    def faster(route: dict[str, Any]) -> None:
        for name in ("group_wait", "group_interval", "repeat_interval"):
            if name in route:
                text = CHANGED.get(name, {}).get(route[name], route[name])
                route[name] = f"{round(duration(text) / pace * 1000)}ms"
        for below in route.get("routes", ()):
            faster(below)

    faster(shipped["route"])
    for entry in shipped["receivers"]:
        for webhook in entry.get("webhook_configs", ()):
            webhook["url"] = f"{receiver}/{entry['name']}"
    return shipped


def modelled(pace: float) -> dict[str, Any]:
    """The same in the seconds of the timelines."""
    shipped = configured("", pace)

    def slower(route: dict[str, Any]) -> None:
        for name in ("group_wait", "group_interval", "repeat_interval"):
            if name in route:
                route[name] = f"{round(duration(route[name]) * pace)}s"
        for below in route.get("routes", ()):
            slower(below)

    slower(shipped["route"])
    return shipped


def sent(played: Mapping[str, Played]) -> list[tuple[float, list[Sent]]]:
    """What Prometheus sends in all of these timelines, each as a cluster of its own."""
    found: dict[float, list[Sent]] = {}
    for number, name in enumerate(REPLAYED):
        for at, alerts in played[name].sent:
            if at <= UNTIL and alerts:
                found.setdefault(at, []).extend(
                    replace(alert, labels=in_cluster(alert.labels, f"t{number}"))
                    for alert in alerts
                )
    return sorted(found.items())


def in_cluster(labels: Labels, cluster: str) -> Labels:
    return tuple(sorted({**dict(labels), "cluster": cluster}.items()))


def post(address: str, alerts: Sequence[Sent], paced: Paced) -> None:
    body = [
        {
            "labels": dict(alert.labels),
            "startsAt": paced.stamp(alert.starts),
            "endsAt": paced.stamp(alert.ends),
        }
        for alert in alerts
    ]
    request = urllib.request.Request(
        f"http://{address}/api/v2/alerts",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def told_by_alertmanager(
    directory: Path, messages: Sequence[tuple[float, Sequence[Sent]]], pace: float
) -> list[Notification]:
    """What the real one sends to receivers, in the seconds of the timelines."""
    directory.mkdir()
    with Receiver() as receiver:
        with alertmanager(directory, configured(receiver.url, pace)) as address:
            # The first alert comes five minutes into the timelines.
            paced = Paced(time.time() - 280 / pace, pace)
            for at, alerts in messages:
                time.sleep(max(0.0, paced.real(at) - time.time()))
                post(address, alerts, paced)
            while time.time() < paced.real(UNTIL):
                time.sleep(0.01)
        return [
            _notification(one.receiver, one.content, paced.simulated(one.at))
            for one in receiver.notifications
        ]


def _notification(receiver: str, content: Mapping[str, Any], at: float) -> Notification:
    def of(status: str) -> frozenset[Labels]:
        return frozenset(
            tuple(sorted(alert["labels"].items()))
            for alert in content["alerts"]
            if alert["status"] == status
        )

    group = tuple(sorted(content["groupLabels"].items()))
    return Notification(at, receiver, group, of("firing"), of("resolved"))


def by_group(told: Sequence[Notification]) -> dict[tuple[str, Labels], list[Notification]]:
    found: dict[tuple[str, Labels], list[Notification]] = {}
    for one in sorted(told, key=lambda one: one.at):
        found.setdefault((one.receiver, one.group), []).append(one)
    return found


def differences(expected: Sequence[Notification], found: Sequence[Notification]) -> list[str]:
    """Where the real one and the model tell something else, or at another time."""
    ours, theirs = by_group(expected), by_group(found)
    lines = []
    for key in ours.keys() | theirs.keys():
        pairs = zip(ours.get(key, []), theirs.get(key, []), strict=False)
        same = len(ours.get(key, [])) == len(theirs.get(key, [])) and all(
            (one.firing, one.resolved) == (other.firing, other.resolved)
            and abs(one.at - other.at) <= CLOSE
            for one, other in pairs
        )
        if not same:
            lines += [f"{key}:", *(f"  model {one}" for one in ours.get(key, []))]
            lines += [f"  real  {one}" for one in theirs.get(key, [])]
    return lines


def quiet(told: Sequence[Notification]) -> float:
    """A time near the end, without notifications shortly before and after it."""
    end = UNTIL - CLOSE
    while any(abs(one.at - end) < CLOSE for one in told):
        end -= CLOSE / 5
    return end


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.prometheus
@pytest.mark.plays(*REPLAYED)
def test_model_notifies_like_the_real_alertmanager(
    played: Mapping[str, Played], tmp_path: Path
) -> None:
    see.need("prometheus-alertmanager")
    messages = sent(played)
    lines: list[str] = []
    for pace in PACES:
        expected = list(Alertmanager(modelled(pace), cleaned=UNTIL).run(messages, UNTIL))
        assert {one.receiver for one in expected} == {"pager", "tickets"}
        found = told_by_alertmanager(tmp_path / str(pace), messages, pace)
        end = quiet(expected)
        lines = differences(
            [one for one in expected if one.at < end], [one for one in found if one.at < end]
        )
        if not lines:
            return
    pytest.fail("\n".join(lines), pytrace=False)


# ---- Prometheus ----

COMPARED = (
    "The replicas of Galera return one after the other",
    "A controller crashes, and fencing fails",
    "A bundle in maintenance is stopped by hand and started again",
    "A resource fails",
)


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.prometheus
@pytest.mark.plays(*COMPARED)
def test_model_of_alerts_fires_like_prometheus(
    played: Mapping[str, Played], reader: Reader, tmp_path: Path
) -> None:
    """Without a restart, from where the expressions hold."""
    batch = [played[name].timeline for name in COMPARED]
    for one in play(batch, reader, tmp_path, modelled=True):
        assert one.firing == played[one.timeline.name].firing
