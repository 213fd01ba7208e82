"""Unwraps results that may be failures."""

from typing import TypeVar

from exporter.cluster.outcome import Failure
from exporter.pacemaker.crm_mon import Answer
from exporter.pacemaker.runner import Completed

Result = TypeVar("Result")


def good(result: Result | Failure) -> Result:
    """The result, which must not be a failure."""
    assert not isinstance(result, Failure), result
    return result


def failed(result: object) -> Failure:
    """The failure that a result must be, with a message of one line."""
    assert isinstance(result, Failure), result
    assert "\n" not in result.message
    return result


def left(answer: Answer | Failure) -> Completed | Failure:
    """What crm_mon left, or why it was not run to its end."""
    return answer if isinstance(answer, Failure) else answer.completed
