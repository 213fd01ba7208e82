"""Checks of the report of a storm."""

import difflib
from collections.abc import Iterator

from exporter.cluster.outcome import Outcome
from tests.endurance.storm import A_POLL_HOLDS, TIMEOUT, Report, percentile
from tests.support.oracle.promtool import promtool

GROWTH = 16.0
"""Megabytes by which the last third of a storm may be above the second: malloc's noise. At times
there are 12 more all at once, in any third, which stay or go again; never more than that."""


def complaints(report: Report) -> Iterator[str]:
    """Yield a line for each check that fails."""
    yield from report.during.wrong
    yield from _of_the_process(report)
    yield from _of_scrapes(report)
    # For want of memory there are tests of their own.
    planned = set(Outcome) - {Outcome.OUT_OF_MEMORY}
    missing = {outcome for outcome in planned if not report.outcomes.get(outcome)}
    if missing:
        yield f"never happened: {sorted(missing)}"
    other = list(difflib.unified_diff(report.fresh, report.page, lineterm="", n=0))
    if other:
        yield "\n".join(["not what an exporter says that starts anew:", *other])
    for line in report.log.splitlines():
        if "level=critical" in line or "bug" in line or not line.startswith("ts="):
            yield f"in the log: {line}"
    if "msg=stopping" not in report.log:
        yield "it did not stop by itself"


def _of_the_process(report: Report) -> Iterator[str]:
    assert report.after
    second, last = report.resident(1 / 3, 2 / 3), report.resident(2 / 3, 1)
    if last > second + GROWTH:
        yield f"memory grows: {second:.1f} MB in the second third, {last:.1f} MB in the last"
    if report.after.resident > last + GROWTH:
        yield f"memory: {last:.1f} MB in the last third, {report.after.resident:.1f} MB at rest"
    if report.after.descriptors > report.before.descriptors + A_POLL_HOLDS:
        yield f"descriptors: {report.before.descriptors} before, {report.after.descriptors} after"
    threads = {look.threads for look in [*report.looks, report.after]}
    # One more makes the status page, once that is large enough.
    if max(threads) > report.before.threads + 1:
        yield f"threads: {report.before.threads} before, {sorted(threads)} since"
    # The command, and what one left behind, which becomes a child before it is ended.
    if max(look.children for look in report.looks) > 2:
        yield "more than two children at a time"
    if report.after.zombies:
        yield f"{report.after.zombies} zombies are left"


def _of_scrapes(report: Report) -> Iterator[str]:
    calm, during = report.calm.seconds, report.during.seconds
    if len(during) < report.seconds:
        yield f"only {len(during)} scrapes in {report.seconds:.0f} s"
    # Of ten seconds crm_mon hangs two: if scrapes waited for that, one of ten would wait long.
    if percentile(during, 0.9) > TIMEOUT / 4 + 3 * percentile(calm, 0.9):
        yield f"slow scrapes: {percentile(during, 0.9):.2f} s, {percentile(calm, 0.9):.2f} s calm"
    if max(during) > 2 * TIMEOUT + 3 * max(calm):
        yield f"a scrape took {max(during):.2f} s; calm at most {max(calm):.2f} s"
    for page in report.during.samples:
        checked = promtool("check", "metrics", given=page)
        if checked.returncode:
            yield f"promtool: {checked.stdout}{checked.stderr}"
