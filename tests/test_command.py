"""SystemCommands against a command that misbehaves: bounded in time and size, nothing left."""

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

from exporter import command
from exporter.command import COMMAND_ENVIRONMENT, Completed, SystemCommands
from exporter.errors import Outcome, PollError, Stopped
from tests.support.stand_in import (
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
    """No zombie, no descriptor, and no process but those that left the group."""
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


def _run(commands: SystemCommands, crm_mon: StandIn, timeout: float = AMPLE) -> Completed:
    return commands.run((str(crm_mon.path), "--output-as=xml", "--inactive"), timeout)


def _fails(commands: SystemCommands, crm_mon: StandIn, timeout: float = AMPLE) -> PollError:
    with pytest.raises(PollError) as caught:
        _run(commands, crm_mon, timeout)
    assert "\n" not in str(caught.value)
    assert str(crm_mon.path) in str(caught.value)
    return caught.value


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


# ---- What a command leaves ----


def test_output_status_and_command_line_are_kept(
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
    assert completed.how == "exit status 3"


def test_arguments_reach_the_command_as_a_list(commands: SystemCommands, crm_mon: StandIn) -> None:
    odd = ("$(id)", "a b", "", "; true", "é", "*")
    commands.run((str(crm_mon.path), *odd), AMPLE)
    assert [start.argv for start in crm_mon.starts] == [[str(crm_mon.path), *odd]]


def test_language_and_zone_are_pinned_whatever_is_inherited(
    crm_mon: StandIn, stop: threading.Event
) -> None:
    inherited = {"PATH": os.environ["PATH"], "LC_ALL": "de_DE.UTF-8", "TZ": "Europe/Berlin"}
    _run(SystemCommands(inherited, stop), crm_mon)
    assert crm_mon.starts[0].environment == {"LC_ALL": "C", "TZ": "UTC"}


def test_the_rest_of_the_environment_is_inherited(tmp_path: Path, stop: threading.Event) -> None:
    inherited = {"PATH": os.environ["PATH"], "CIB_file": "cib.xml", "LC_ALL": "fr_FR"}
    completed = SystemCommands(inherited, stop).run(("env",), AMPLE)
    assert set(completed.stdout.decode().split()) == {
        f"PATH={os.environ['PATH']}",
        "CIB_file=cib.xml",
        "LC_ALL=C",
        "TZ=UTC",
        f"GLIBC_TUNABLES={COMMAND_ENVIRONMENT['GLIBC_TUNABLES']}",
    }


def test_standard_input_is_empty_and_not_ours(commands: SystemCommands) -> None:
    assert commands.run(("cat",), AMPLE).stdout == b""


@pytest.mark.parametrize("out", ["", "no XML at all\n", "<pacemaker-result><summary>"])
def test_what_it_prints_is_not_judged(commands: SystemCommands, crm_mon: StandIn, out: str) -> None:
    crm_mon.does(Behaviour(out=out))
    completed = _run(commands, crm_mon)
    assert (completed.status, completed.stdout, completed.stderr) == (0, out.encode(), "")


def test_a_crash_is_told_by_its_signal(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.does(Behaviour(out="<crm_mon>", dies=signal.SIGSEGV))
    completed = _run(commands, crm_mon)
    assert (completed.status, completed.how) == (-signal.SIGSEGV, "killed by SIGSEGV")


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert Completed((), -40, b"", "").how == "killed by signal 40"


def test_stderr_that_is_no_utf8_is_kept_as_far_as_it_goes(commands: SystemCommands) -> None:
    completed = commands.run(("sh", "-c", r"printf 'caf\351\n' >&2"), AMPLE)
    assert completed.stderr == "caf\N{REPLACEMENT CHARACTER}\n"


def test_answers_that_follow_one_another_are_each_their_own(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
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
def test_what_cannot_be_started_is_not_found(
    commands: SystemCommands, crm_mon: StandIn, fault: Callable[[StandIn], None], reason: str
) -> None:
    fault(crm_mon)
    error = _fails(commands, crm_mon)
    assert error.outcome is Outcome.NOT_FOUND
    assert reason in str(error)
    assert "check its path" in str(error)
    crm_mon.appear()
    assert _run(commands, crm_mon).status == 0


def test_a_file_that_is_no_program_is_not_found(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.path.write_text("neither a binary nor a script\n")
    assert _fails(commands, crm_mon).outcome is Outcome.NOT_FOUND


def test_a_script_without_its_interpreter_is_not_found(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.path.write_text("#!/nowhere/interpreter\n")
    assert _fails(commands, crm_mon).outcome is Outcome.NOT_FOUND


def test_a_name_is_looked_up_in_the_path(crm_mon: StandIn, stop: threading.Event) -> None:
    path = f"{crm_mon.path.parent}:{os.environ['PATH']}"
    assert SystemCommands({"PATH": path}, stop).run(("crm_mon",), AMPLE).status == 0
    assert len(crm_mon.starts) == 1


# ---- Commands that do not end ----


def test_a_hanging_command_is_ended_at_its_timeout(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HANGS)
    watch = Stopwatch()
    error = _fails(commands, crm_mon, SHORT)
    assert SHORT <= watch.seconds < SHORT + NOISE
    assert error.outcome is Outcome.TIMEOUT
    assert "0.4 s" in str(error)
    assert crm_mon.alive() == []


def test_one_that_ignores_term_is_killed_soon_after(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HANGS_DEAF)
    watch = Stopwatch()
    error = _fails(commands, crm_mon, SHORT)
    assert watch.seconds < SHORT + command.TERM_GRACE + NOISE
    assert error.outcome is Outcome.TIMEOUT
    assert crm_mon.alive() == []


def test_one_that_closed_its_output_and_hangs_is_ended_at_its_timeout(
    commands: SystemCommands,
) -> None:
    watch = Stopwatch()
    with pytest.raises(PollError, match=r"^sh gave no answer within 0\.4 s") as caught:
        commands.run(("sh", "-c", "exec >&- 2>&-; exec sleep 60"), SHORT)
    assert SHORT <= watch.seconds < SHORT + NOISE
    assert caught.value.outcome is Outcome.TIMEOUT


def test_what_it_answered_before_it_hung_is_no_answer(commands: SystemCommands) -> None:
    with pytest.raises(PollError) as caught:
        commands.run(("sh", "-c", "echo '<crm_mon/>'; exec sleep 60"), SHORT)
    assert caught.value.outcome is Outcome.TIMEOUT


def test_one_that_stopped_itself_is_ended(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.does(Behaviour(dies=signal.SIGSTOP))
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    assert crm_mon.alive() == []


@pytest.mark.parametrize("behaviour", [HANGS, HANGS_DEAF, Behaviour(floods="stderr")])
def test_a_request_to_stop_ends_it_promptly(
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


def test_nothing_is_started_after_a_request_to_stop(
    commands: SystemCommands, crm_mon: StandIn, stop: threading.Event
) -> None:
    stop.set()
    with pytest.raises(Stopped):
        _run(commands, crm_mon)
    assert crm_mon.starts == []


# ---- What a command leaves running ----


def test_a_child_that_holds_the_output_open_does_not_hold_up_the_answer(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HEALTHY_CRM_MON._replace(child="group"))
    watch = Stopwatch()
    completed = _run(commands, crm_mon)
    assert watch.seconds < NOISE
    assert (completed.status, completed.stdout) == (0, HEALTHY.read_bytes())
    child = crm_mon.starts[0].child
    _until(lambda: child not in crm_mon.alive(), "the child is gone")


def test_a_child_that_ignores_term_goes_too(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.does(HANGS_DEAF._replace(child="group"))
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    _until(lambda: not crm_mon.alive(), "the group is gone")


def test_a_child_in_a_session_of_its_own_does_not_hold_up_the_answer(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    """It is nobody's to kill (a prefix may be a container engine), but it costs nothing."""
    crm_mon.does(HEALTHY_CRM_MON._replace(child="session"))
    watch = Stopwatch()
    completed = _run(commands, crm_mon)
    assert watch.seconds < NOISE
    assert (completed.status, completed.stdout) == (0, HEALTHY.read_bytes())
    assert crm_mon.alive() == [crm_mon.starts[0].child]


def test_a_child_in_a_session_of_its_own_does_not_hold_up_the_timeout(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HANGS._replace(child="session"))
    watch = Stopwatch()
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    assert watch.seconds < SHORT + NOISE
    assert crm_mon.alive() == [crm_mon.starts[0].child]


# ---- Commands that print too much ----


@pytest.mark.parametrize("amount", [100 * MEGABYTE, 0])
def test_too_much_output_ends_it(commands: SystemCommands, crm_mon: StandIn, amount: int) -> None:
    crm_mon.does(Behaviour(floods="stdout", amount=amount))
    error = _fails(commands, crm_mon)
    assert error.outcome is Outcome.TOO_LARGE
    assert f"more than {command.OUTPUT_LIMIT} bytes" in str(error)
    assert crm_mon.alive() == []


def test_output_up_to_the_limit_is_taken(crm_mon: StandIn, stop: threading.Event) -> None:
    commands = SystemCommands(os.environ, stop, output_limit=MEGABYTE)
    crm_mon.does(Behaviour(floods="stdout", amount=MEGABYTE))
    assert len(_run(commands, crm_mon).stdout) == MEGABYTE
    crm_mon.does(Behaviour(floods="stdout", amount=MEGABYTE + 1))
    assert _fails(commands, crm_mon).outcome is Outcome.TOO_LARGE


def test_much_on_stderr_neither_blocks_it_nor_is_kept(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(HEALTHY_CRM_MON._replace(floods="stderr", amount=10 * MEGABYTE))
    completed = _run(commands, crm_mon)
    assert (completed.status, completed.stdout) == (0, HEALTHY.read_bytes())
    assert len(completed.stderr) == command.STDERR_LIMIT


def test_endless_stderr_is_ended_at_the_timeout(commands: SystemCommands, crm_mon: StandIn) -> None:
    crm_mon.does(Behaviour(floods="stderr"))
    watch = Stopwatch()
    assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    assert SHORT <= watch.seconds < SHORT + NOISE
    assert crm_mon.alive() == []


# ---- Through a command prefix ----


def test_a_prefix_comes_first_and_env_pins_language_and_zone_behind_it(
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
def test_what_cannot_be_started_through_a_prefix_is_not_found(
    crm_mon: StandIn, stop: threading.Event, fault: Callable[[StandIn], None], reason: str
) -> None:
    fault(crm_mon)
    error = _fails(SystemCommands(os.environ, stop, ("env",)), crm_mon)
    assert error.outcome is Outcome.NOT_FOUND
    assert "through the command prefix" in str(error)
    assert reason in str(error)


def test_126_without_a_prefix_is_the_commands_own_status(
    commands: SystemCommands, crm_mon: StandIn
) -> None:
    crm_mon.does(Behaviour(status=126))
    assert _run(commands, crm_mon).status == 126


def test_a_prefix_that_cannot_be_started_is_named(crm_mon: StandIn, stop: threading.Event) -> None:
    prefix = str(crm_mon.path.with_name("no-such-engine"))
    with pytest.raises(PollError) as caught:
        _run(SystemCommands(os.environ, stop, (prefix, "exec")), crm_mon)
    assert caught.value.outcome is Outcome.NOT_FOUND
    assert prefix in str(caught.value)


def test_a_hanging_command_behind_a_prefix_that_waits_for_it_is_ended(
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


def test_beside_a_command_that_cannot_be_killed_no_other_is_started(
    commands: SystemCommands, crm_mon: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "KILL_GRACE", 0.2)
    crm_mon.does(HANGS)
    with monkeypatch.context() as refusing:
        refusing.setattr(os, "killpg", _killpg_refused)
        assert _fails(commands, crm_mon, SHORT).outcome is Outcome.TIMEOUT
    survivor = crm_mon.starts[0].pid
    assert crm_mon.alive() == [survivor]

    crm_mon.does(HEALTHY_CRM_MON)
    with pytest.raises(PollError) as caught:
        _run(commands, crm_mon)
    assert caught.value.outcome is Outcome.TIMEOUT
    assert f"pid {survivor}" in str(caught.value)
    assert len(crm_mon.starts) == 1

    _kill(survivor)
    assert _run(commands, crm_mon).status == 0


def test_a_command_that_cannot_be_killed_does_not_hold_up_the_end(
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
    assert watch.seconds < SHORT + 2 * command.TERM_GRACE + 1.0
    timer.join()
    # It is found dead, and reaped, before the next is started.
    _kill(crm_mon.starts[0].pid)
    stop.clear()
    crm_mon.does(HEALTHY_CRM_MON)
    assert _run(commands, crm_mon).status == 0


# ---- Out of descriptors ----

SHORT_OF_DESCRIPTORS = """
import os, resource, sys, threading
from exporter.command import SystemCommands
from exporter.errors import PollError

commands = SystemCommands(os.environ, threading.Event())
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
for spare in range(16):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 + spare, hard))
    try:
        print(spare, commands.run(("true",), 20).how)
    except PollError as error:
        print(spare, error.outcome)
"""


def test_running_out_of_descriptors_fails_the_poll_and_not_the_exporter() -> None:
    """With one more free from run to run, it runs out at every place where it can."""
    # Measuring coverage would need descriptors, too.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    ended = subprocess.run(
        (sys.executable, "-c", SHORT_OF_DESCRIPTORS),
        cwd=Path(command.__file__).parents[1],
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
