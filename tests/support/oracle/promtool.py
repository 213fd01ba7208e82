"""The verdict of the real promtool on pages and rules."""

import os
import subprocess

from tests.support.harness import see


def promtool(
    *arguments: object, given: str | bytes = b"", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run promtool to its end, with a page as its standard input; skip without it."""
    done = subprocess.run(
        [see.need("promtool"), *map(str, arguments)],
        input=given.encode() if isinstance(given, str) else given,
        capture_output=True,
        check=False,
        env={**os.environ, **environment},
        timeout=900,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
