"""What a benchmark starts ends with the gate, also in a session of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from perfsuite.gate.descendants import adopted_orphans
from tests.gate.projects import Project, jobs, src_layout

STARTS = {
    "in a session of its own": """
import os, subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True, env={"PATH": os.environ["PATH"]})
RECORD.open("a").write(f"{child.pid}\\n")
""",
    "as a daemon": """
import subprocess, sys
daemon = '''
import os
os.setsid()
if pid := os.fork():
    open(RECORD, "a").write(str(pid) + chr(10))
    os._exit(0)
os.execve("/bin/sleep", ["sleep", "600"], {})
'''
subprocess.run([sys.executable, "-S", "-c", daemon.replace("RECORD", repr(str(RECORD)))], env={}, check=True)
""",
}


def living(record: Path) -> list[int]:
    pids = [int(line) for line in record.read_text().split()]
    assert pids, "the benchmark started something"
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
@pytest.mark.parametrize("way", STARTS)
def test_a_process_that_left_its_side_ends_with_the_gate(way: str, project: Project) -> None:
    record = Path(os.environ["TMPDIR"], "pids")
    start = f"from pathlib import Path\nRECORD = Path({str(record)!r})\n{STARTS[way]}"
    project.commit(src_layout())
    project.commit({"src/toy/jobs.py": start + jobs(decode=0.0011)})
    project.gate()
    assert living(record) == []


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")
def test_the_processes_of_the_caller_live_on() -> None:
    """The negative control: what was there before, and what stays in this session, is not the gate's."""
    with subprocess.Popen(["/bin/sleep", "600"], start_new_session=True) as before:
        with adopted_orphans(), subprocess.Popen(["/bin/sleep", "600"]) as own:
            pass_over = own.poll()
            own.kill()
        assert pass_over is None
        assert before.poll() is None
        before.kill()
