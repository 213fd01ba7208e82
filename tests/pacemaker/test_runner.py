"""SystemCommands bounds a misbehaving command in time and size, and leaves no process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exporter.cluster.outcome import Failure, Outcome, Stopped
from exporter.pacemaker import runner
from exporter.pacemaker.runner import COMMAND_ENVIRONMENT, Completed, SystemCommands
from tests.support.harness.results import failed, good
from tests.support.harness.stand_in import (
    HANGS,
    HANGS_DEAF,
    HEALTHY,
    HEALTHY_CRM_MON,
    Behaviour,
    StandIn,
)

MEGABYTE = 1_000_000
AMPLE = 20.0
"""A timeout that nothing here reaches, below that after which stand-ins end by themselves."""
SHORT = 0.4
NOISE = 2.0
"""Seconds that a busy machine may add to what takes no time."""


@pytest.fixture
def crm_mon(tmp_path: Path) -> Iterator[StandIn]:
    with StandIn(tmp_path) as stand_in:
        yield stand_in


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def commands(stop: threading.Event) -> SystemCommands:
    return SystemCommands(os.environ, stop)


@pytest.fixture(autouse=True)
def nothing_left(crm_mon: StandIn) -> Iterator[None]:
    """Check that no zombie, descriptor or process of the group is left."""
    before = _descriptors()
    yield
    assert _descriptors() == before
    started = crm_mon.starts
    for start in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(start.pid, os.WNOHANG)
    gone = {start.pid for start in started} | {
        start.child for start in started if start.child and _group(start.child) == start.pid
    }
    # KILL was sent to the group; only its leader is waited for.
    _until(lambda: gone.isdisjoint(crm_mon.alive()), "the group is gone")


def _descriptors() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _until(condition: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def _ask(commands: SystemCommands, crm_mon: StandIn, timeout: float) -> Completed | Failure:
    return commands.run((str(crm_mon.path), "--output-as=xml", "--inactive"), timeout)


def _run(commands: SystemCommands, crm_mon: StandIn, timeout: float = AMPLE) -> Completed:
    return good(_ask(commands, crm_mon, timeout))


def _fails(commands: SystemCommands, crm_mon: StandIn, timeout: float = AMPLE) -> Failure:
    failure = failed(_ask(commands, crm_mon, timeout))
    assert str(crm_mon.path) in failure.message
    return failure


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


# ---- What a command leaves ----


def test_result_has_output_status_and_command_line(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HEALTHY_CRM_MON._replace(err="a warning\n", status=3))
    completed = _run(commands, crm_mon)
    assert completed == Completed(
        (str(crm_mon.path), "--output-as=xml", "--inactive"),
        3,
        HEALTHY.read_bytes(),
        "a warning\n",
    )
    assert completed.ending == "exit status 3"


def test_command_gets_its_arguments_unchanged(commands: SystemCommands, crm_mon: StandIn) -> None:
    odd = ("$(id)", "a b", "", "; true", "é", "*")
    commands.run((str(crm_mon.path), *odd), AMPLE)
    assert [start.argv for start in crm_mon.starts] == [[str(crm_mon.path), *odd]]


def test_command_runs_with_fixed_language_and_zone(crm_mon: StandIn, stop: threading.Event) -> None:
    inherited = {"PATH": os.environ["PATH"], "LC_ALL": "de_DE.UTF-8", "TZ": "Europe/Berlin"}
    _run(SystemCommands(inherited, stop), crm_mon)
    assert crm_mon.starts[0].environment == {"LC_ALL": "C", "TZ": "UTC"}


def test_rest_of_the_environment_is_inherited(stop: threading.Event) -> None:
    inherited = {"PATH": os.environ["PATH"], "CIB_file": "cib.xml", "LC_ALL": "fr_FR"}
    completed = good(SystemCommands(inherited, stop).run(("env",), AMPLE))
    assert set(completed.stdout.decode().split()) == {
        f"PATH={os.environ['PATH']}",
        "CIB_file=cib.xml",
        "LC_ALL=C",
        "TZ=UTC",
        f"GLIBC_TUNABLES={COMMAND_ENVIRONMENT['GLIBC_TUNABLES']}",
    }


def test_standard_input_of_the_command_is_empty(commands: SystemCommands) -> None:
    assert good(commands.run(("cat",), AMPLE)).stdout == b""


@pytest.mark.parametrize("out", ["", "no XML at all\n", "<pacemaker-result><summary>"])
def test_runner_does_not_interpret_output(
    commands: SystemCommands, crm_mon: StandIn, out: str
) -> None:
    crm_mon.does(Behaviour(out=out))
    completed = _run(commands, crm_mon)
    assert (completed.status, completed.stdout, completed.stderr) == (0, out.encode(), "")


def test_crash_is_described_by_its_signal(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.does(Behaviour(out="<crm_mon>", dies=signal.SIGSEGV))
    completed = _run(commands, crm_mon)
    assert (completed.status, completed.ending) == (-signal.SIGSEGV, "killed by SIGSEGV")


def test_signal_without_a_name_is_described_by_its_number() -> None:
    assert Completed((), -40, b"", "").ending == "killed by signal 40"


def test_invalid_utf8_on_stderr_is_replaced(commands: SystemCommands) -> None:
    completed = good(commands.run(("sh", "-c", r"printf 'caf\351\n' >&2"), AMPLE))
    assert completed.stderr == "caf\N{REPLACEMENT CHARACTER}\n"


def test_consecutive_answers_are_independent(commands: SystemCommands, crm_mon: StandIn) -> None:
    for index in range(5):
        crm_mon.does(Behaviour(out=f"{index}", status=index))
        completed = _run(commands, crm_mon)
        assert (completed.status, completed.stdout) == (index, b"%d" % index)
    assert not any(start.beside for start in crm_mon.starts)


# ---- Commands that cannot be started ----


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (StandIn.disappear, "No such file or directory"),
        (StandIn.become_unexecutable, "Permission denied"),
        (StandIn.become_directory, "Permission denied"),
    ],
)
def test_command_that_cannot_be_started_is_not_found(
    commands: SystemCommands, crm_mon: StandIn, fault: Callable[[StandIn], None], reason: str
) -> None:
    fault(crm_mon)
    error = _fails(commands, crm_mon)
    assert error.outcome is Outcome.NOT_FOUND
    assert reason in error.message
    assert "check its path" in error.message
    crm_mon.appear()
    assert _run(commands, crm_mon).status == 0


def test_file_that_is_not_a_program_is_not_found(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.path.write_text("neither a binary nor a script\n")
    assert _fails(commands, crm_mon).outcome is Outcome.NOT_FOUND


def test_script_without_its_interpreter_is_not_found(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.path.write_text("#!/nowhere/interpreter\n")
    assert _fails(commands, crm_mon).outcome is Outcome.NOT_FOUND


def test_command_name_is_looked_up_in_the_path(crm_mon: StandIn, stop: threading.Event) -> None:
    path = f"{crm_mon.path.parent}:{os.environ['PATH']}"
    assert good(SystemCommands({"PATH": path}, stop).run(("crm_mon",), AMPLE)).status == 0
    assert len(crm_mon.starts) == 1


# ---- Commands that do not end ----


def test_hanging_command_is_terminated_at_its_timeout(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HANGS)
    watch = Stopwatch()
    error = _fails(commands, crm_mon, SHORT)
    assert SHORT <= watch.seconds < SHORT + NOISE
    assert error.outcome is Outcome.TIMEOUT
    assert "0.4 s" in error.message
    assert crm_mon.alive() == []


def test_command_that_ignores_term_is_killed_soon_after(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HANGS_DEAF)
    watch = Stopwatch()
    error = _fails(commands, crm_mon, SHORT)
    assert watch.seconds < SHORT + runner.TERM_GRACE + NOISE
    assert error.outcome is Outcome.TIMEOUT
    assert crm_mon.alive() == []


def test_hanging_command_with_closed_output_is_terminated_at_its_timeout(
    commands: SystemCommands,
) -> None:
    watch = Stopwatch()
    failure = commands.run(("sh", "-c", "exec >&- 2>&-; exec sleep 60"), SHORT)
    assert SHORT <= watch.seconds < SHORT + NOISE
    assert failure == Failure(Outcome.TIMEOUT, "sh did not answer within 0.4 s")


def test_output_before_a_timeout_is_discarded(commands: SystemCommands) -> None:
    failure = failed(commands.run(("sh", "-c", "echo '<crm_mon/>'; exec sleep 60"), SHORT))
    assert failure.outcome is Outcome.TIMEOUT


def test_command_that_stopped_itself_is_killed(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.does(Behaviour(dies=signal.SIGSTOP))
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    assert crm_mon.alive() == []


@pytest.mark.parametrize("behaviour", [HANGS, HANGS_DEAF, Behaviour(floods="stderr")])
def test_request_to_stop_ends_the_command_promptly(
    commands: SystemCommands, crm_mon: StandIn, stop: threading.Event, behaviour: Behaviour
) -> None:
    crm_mon.does(behaviour)
    requested: list[Stopwatch] = []

    def request() -> None:
        with suppress(AssertionError):  # then nothing started, which the end of the test shows
            _until(lambda: bool(crm_mon.starts), "started")
        requested.append(Stopwatch())
        stop.set()

    thread = threading.Thread(target=request)
    thread.start()
    with pytest.raises(Stopped):
        _run(commands, crm_mon)
    seconds = requested[0].seconds
    thread.join()
    assert seconds < 1.0
    assert len(crm_mon.starts) == 1
    assert crm_mon.alive() == []


def test_no_command_is_started_after_a_request_to_stop(
    commands: SystemCommands, crm_mon: StandIn, stop: threading.Event
) -> None:
    stop.set()
    with pytest.raises(Stopped):
        _run(commands, crm_mon)
    assert crm_mon.starts == []


# ---- What a command leaves running ----


def test_child_that_keeps_the_output_open_does_not_delay_the_answer(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HEALTHY_CRM_MON._replace(child="group"))
    watch = Stopwatch()
    completed = _run(commands, crm_mon)
    assert watch.seconds < NOISE
    assert (completed.status, completed.stdout) == (0, HEALTHY.read_bytes())
    child = crm_mon.starts[0].child
    _until(lambda: child not in crm_mon.alive(), "the child is gone")


def test_child_that_ignores_term_is_killed_too(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.does(HANGS_DEAF._replace(child="group"))
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    _until(lambda: not crm_mon.alive(), "the group is gone")


def test_child_in_its_own_session_does_not_delay_the_answer(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    """The runner must not kill it: a prefix may be a container engine."""
    crm_mon.does(HEALTHY_CRM_MON._replace(child="session"))
    watch = Stopwatch()
    completed = _run(commands, crm_mon)
    assert watch.seconds < NOISE
    assert (completed.status, completed.stdout) == (0, HEALTHY.read_bytes())
    assert crm_mon.alive() == [crm_mon.starts[0].child]


def test_child_in_its_own_session_does_not_delay_the_timeout(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HANGS._replace(child="session"))
    watch = Stopwatch()
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    assert watch.seconds < SHORT + NOISE
    assert crm_mon.alive() == [crm_mon.starts[0].child]


# ---- Commands that print too much ----


@pytest.mark.parametrize("amount", [100 * MEGABYTE, 0])
def test_too_much_output_ends_the_command(
    commands: SystemCommands, crm_mon: StandIn, amount: int
) -> None:
    crm_mon.does(Behaviour(floods="stdout", amount=amount))
    error = _fails(commands, crm_mon)
    assert error.outcome is Outcome.TOO_LARGE
    assert f"more than {runner.OUTPUT_LIMIT} bytes" in error.message
    assert crm_mon.alive() == []


def test_output_up_to_the_limit_is_accepted(crm_mon: StandIn, stop: threading.Event) -> None:
    commands = SystemCommands(os.environ, stop, output_limit=MEGABYTE)
    crm_mon.does(Behaviour(floods="stdout", amount=MEGABYTE))
    assert len(_run(commands, crm_mon).stdout) == MEGABYTE
    crm_mon.does(Behaviour(floods="stdout", amount=MEGABYTE + 1))
    assert _fails(commands, crm_mon).outcome is Outcome.TOO_LARGE


def test_large_stderr_neither_blocks_the_command_nor_is_kept(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HEALTHY_CRM_MON._replace(floods="stderr", amount=10 * MEGABYTE))
    completed = _run(commands, crm_mon)
    assert (completed.status, completed.stdout) == (0, HEALTHY.read_bytes())
    assert len(completed.stderr) == runner.STDERR_LIMIT


def test_command_with_endless_stderr_is_terminated_at_its_timeout(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(Behaviour(floods="stderr"))
    watch = Stopwatch()
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    assert SHORT <= watch.seconds < SHORT + NOISE
    assert crm_mon.alive() == []


# ---- Through a command prefix ----


def test_prefix_precedes_env_which_fixes_language_and_zone(
    crm_mon: StandIn, stop: threading.Event
) -> None:
    # The prefix empties the environment, as a container engine or ssh does.
    prefix = ("env", "-i")
    completed = _run(SystemCommands(os.environ, stop, prefix), crm_mon)
    request = (str(crm_mon.path), "--output-as=xml", "--inactive")
    assert completed.argv == (
        *prefix,
        "env",
        "LC_ALL=C",
        "TZ=UTC",
        f"GLIBC_TUNABLES={COMMAND_ENVIRONMENT['GLIBC_TUNABLES']}",
        *request,
    )
    assert completed.status == 0
    assert crm_mon.starts[0].argv == list(request)
    assert crm_mon.starts[0].environment == {"LC_ALL": "C", "TZ": "UTC"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (StandIn.disappear, "No such file or directory"),
        (StandIn.become_unexecutable, "Permission denied"),
    ],
)
def test_command_that_cannot_be_started_through_a_prefix_is_not_found(
    crm_mon: StandIn, stop: threading.Event, fault: Callable[[StandIn], None], reason: str
) -> None:
    fault(crm_mon)
    error = _fails(SystemCommands(os.environ, stop, ("env",)), crm_mon)
    assert error.outcome is Outcome.NOT_FOUND
    assert "through the command prefix" in error.message
    assert reason in error.message


def test_status_126_without_a_prefix_is_that_of_the_command(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(Behaviour(status=126))
    assert _run(commands, crm_mon).status == 126


def test_prefix_that_cannot_be_started_is_named(crm_mon: StandIn, stop: threading.Event) -> None:
    prefix = str(crm_mon.path.with_name("no-such-engine"))
    failure = failed(_ask(SystemCommands(os.environ, stop, (prefix, "exec")), crm_mon, AMPLE))
    assert failure.outcome is Outcome.NOT_FOUND
    assert prefix in failure.message


def test_hanging_command_behind_a_waiting_prefix_is_terminated(
    crm_mon: StandIn, stop: threading.Event
) -> None:
    crm_mon.does(HANGS_DEAF)
    prefix = ("sh", "-c", '"$@"; exit $?', "prefix")
    error = _fails(SystemCommands(os.environ, stop, prefix), crm_mon, SHORT)
    assert error.outcome is Outcome.TIMEOUT
    _until(lambda: not crm_mon.alive(), "the group is gone")


# ---- A command that cannot be killed ----


def _killpg_refused(_group: int, _number: int) -> None:
    """Refuse as the system does for another user's process, such as one behind sudo."""
    raise PermissionError(1, "Operation not permitted")


def _kill(pid: int) -> None:
    """Kill a child, and leave it to its parent to reap it."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_no_command_is_started_beside_one_that_cannot_be_killed(
    commands: SystemCommands, crm_mon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "KILL_GRACE", 0.2)
    crm_mon.does(HANGS)
    with monkeypatch.context() as refusing:
        refusing.setattr(os, "killpg", _killpg_refused)
        assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    survivor = crm_mon.starts[0].pid
    assert crm_mon.alive() == [survivor]

    crm_mon.does(HEALTHY_CRM_MON)
    failure = failed(_ask(commands, crm_mon, AMPLE))
    assert failure.outcome is Outcome.TIMEOUT
    assert f"pid {survivor}" in failure.message
    assert len(crm_mon.starts) == 1

    _kill(survivor)
    assert _run(commands, crm_mon).status == 0


def test_command_that_cannot_be_killed_does_not_delay_the_end(
    commands: SystemCommands,
    crm_mon: StandIn,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crm_mon.does(HANGS)
    timer = threading.Timer(SHORT, stop.set)
    timer.start()
    watch = Stopwatch()
    with monkeypatch.context() as refusing:
        refusing.setattr(os, "killpg", _killpg_refused)
        with pytest.raises(Stopped):
            _run(commands, crm_mon)
    assert watch.seconds < SHORT + 2 * runner.TERM_GRACE + 1.0
    timer.join()
    # It is found dead, and reaped, before the next is started.
    _kill(crm_mon.starts[0].pid)
    stop.clear()
    crm_mon.does(HEALTHY_CRM_MON)
    assert _run(commands, crm_mon).status == 0


# ---- Out of descriptors ----

SHORT_OF_DESCRIPTORS = """
import os, resource, sys, threading
from exporter.pacemaker.runner import SystemCommands
from exporter.cluster.outcome import Failure

commands = SystemCommands(os.environ, threading.Event())
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
for spare in range(16):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 + spare, hard))
    left = commands.run(("true",), 20)
    print(spare, left.outcome if isinstance(left, Failure) else left.ending)
"""


def test_lack_of_descriptors_fails_the_poll_and_not_the_exporter() -> None:
    """Each run has one more free descriptor, so that every place runs out once."""
    # Measuring coverage would need descriptors, too.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    ended = subprocess.run(
        (sys.executable, "-c", SHORT_OF_DESCRIPTORS),
        cwd=Path(runner.__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=AMPLE,
        check=False,
    )
    assert ended.stderr == ""
    answers = [line.partition(" ")[2] for line in ended.stdout.splitlines()]
    assert set(answers) == {"not_found", "exit status 0"}
    assert answers == sorted(answers, reverse=True)
