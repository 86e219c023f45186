"""One story, read once, for the tests of all reports."""
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from diarchy.history.columns import History


@pytest.fixture(scope="session")
def story():
    """`tests/reports/paused_leader.py` as a namespace: `ops()`, `judged()`, `SCENARIO` …"""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("paused_leader.py"))))


@pytest.fixture(scope="session")
def history(story):
    return History(story.ops())
