"""Record many small projects without pytest: each in a process forked from this one.

Usage: PYTHON recording_driver.py FOLDER_OF_AGENT LIST. The list is JSON: pairs of a root and a request file.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from pathlib import Path


def record(root: str, request: str) -> None:
    """Import the project's bench.py, and call its `run` three times."""
    from _perfsuite_agent.recording.recorder import COMMON, Recorder  # type: ignore[import-not-found,unused-ignore]

    os.chdir(root)
    sys.path[:0] = [root, str(Path(root, ".venv", "site-packages"))]
    recorder = Recorder.from_file(request)
    recorder.start()
    recorder.watch_files()
    recorder.enter("bench.py")
    bench = importlib.import_module("bench")
    recorder.enter("test")
    recorder.scopes["test"].uses_scopes.add("bench.py")
    for _ in range(3):
        bench.run()
    recorder.enter(COMMON)
    recorder.write()


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    importlib.import_module("_perfsuite_agent.recording.recorder")
    for root, request in json.loads(Path(sys.argv[2]).read_text()):
        child = os.fork()
        if not child:
            try:
                record(root, request)
            except BaseException:
                Path(request).with_suffix(".error").write_text(traceback.format_exc())
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
