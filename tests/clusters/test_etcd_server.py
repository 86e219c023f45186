"""The tests' own etcd: what a killed session leaves behind is swept like what a killed run leaves."""
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from diarchy.clusters.docker.sweep import sweep

CHILD = """
from etcd_server import OPEN, etcd_server
with etcd_server():
    print(*OPEN, flush=True)
    input()
"""


@pytest.mark.docker
def test_the_etcd_of_a_killed_session_is_swept(engine: Any) -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], cwd=Path(__file__).parents[1], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        try:
            assert name
            assert not [line for line in sweep(engine) if name in line]
        finally:
            child.kill()
    assert f"removed container {name}" in sweep(engine)
