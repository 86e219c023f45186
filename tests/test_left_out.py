"""What a machine cannot run is left out and listed with its reason; where it is required, it fails."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TESTS = """
import pytest

def test_plain(): pass

@pytest.mark.docker
def test_on_an_engine(): assert False, "must not run without an engine"

@pytest.mark.docker
def test_skipped_by_itself(): pytest.skip("for a reason of its own")

@pytest.mark.browser
def test_in_a_browser(): assert False, "must not run without Chromium"

@pytest.mark.docker
@pytest.mark.xfail(reason="known")
def test_expected_to_fail(): assert False
"""


def suite(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """A suite of one file under the real conftest.py, on a machine without engine and Chromium."""
    shutil.copy(HERE / "conftest.py", folder)
    (folder / "test_some.py").write_text(TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIARCHY_REQUIRE_")}
    environment |= {"DOCKER_HOST": f"unix://{folder}/docker.sock", "PATH": str(folder), **more}
    command = [sys.executable, "-m", "pytest", "-q", "-c", HERE.parent / "pyproject.toml", "--rootdir", folder, "-p", "no:cacheprovider", folder]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_left_out_with_reasons(tmp_path: Path) -> None:
    done = suite(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "left out: 4" in done.stdout
    assert "   3  the Docker engine at unix://" in done.stdout
    assert "   1  not there: tests that look at reports are left out: sudo apt-get install chromium" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("1 passed, 4 skipped")


@pytest.mark.parametrize(
    ("variable", "ending"), [("DIARCHY_REQUIRE_DOCKER", "1 skipped, 3 errors"), ("DIARCHY_REQUIRE_BROWSER", "3 skipped, 1 error")]
)
def test_required_and_left_out_has_failed(tmp_path: Path, variable: str, ending: str) -> None:
    done = suite(tmp_path, **{variable: "1"})
    assert done.returncode == 1, done.stdout
    assert f"1 passed, {ending}" in done.stdout
    assert f"left out, but {variable}=1" in done.stdout
