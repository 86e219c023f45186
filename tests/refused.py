"""What is said of a scenario that is refused."""
from pathlib import Path

import pytest

from diarchy.harness.scenario import BadScenario, load


def wrong(tmp_path: Path, text: str | bytes) -> list[str]:
    """What is said of a file, without its name."""
    path = tmp_path / "bad.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadScenario) as error:
        load(path)
    lines = str(error.value).splitlines()
    assert all(line.startswith(f"{path}:") for line in lines), lines
    return [line.removeprefix(f"{path}:").strip() for line in lines]
