"""What tests of several rooms need."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_xdist_worker() -> None:
    """pytest-benchmark measures nothing in a worker of xdist; the runs that tests start are not workers."""
    os.environ.pop("PYTEST_XDIST_WORKER", None)


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive() -> None:
    """A shell that starts the tests in the background lets them ignore SIGINT, which some of them send."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a real HTTP server in this process."""
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    before = dict(os.environ)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "invented",
        "AWS_SECRET_ACCESS_KEY": "invented",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().makedirs("runs", exist_ok=True)  # it outlives its server within a process
        yield "s3://runs"
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.stop()
