"""A scenario: what is run, what goes wrong, what is checked, and what is expected to be found."""
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import yaml

from diarchy.checkers.kinds import DEFAULTS, CheckOptions
from diarchy.checkers.verdict import Word
from diarchy.clusters.kinds import ClusterOptions
from diarchy.history import units
from diarchy.history.units import Duration, default
from diarchy.nemeses.kinds import NemesisOptions
from diarchy.workloads.kinds import Workload


class BadScenario(Exception):
    """A file that is no scenario; the text has all that is wrong with it, one per line: `file:line:column: what; what was meant`."""


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one check must say for the run to be as expected."""

    verdict: Annotated[Word, msgspec.Meta(description="valid, violation or inconclusive")]
    kinds: Annotated[tuple[str, ...], msgspec.Meta(description="kinds of finding that must be there, each of them")] = ()
    levels: Annotated[tuple[str, ...], msgspec.Meta(description="levels of finding that must be there, each of them")] = ()


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run, wholly described."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100, description=(
        "also the name of the folder that runs are kept in: small letters, digits, dots, dashes"))]
    cluster: ClusterOptions
    workload: Workload
    duration: Annotated[Duration, msgspec.Meta(description="how long the candidates campaign, faults included")]
    about: Annotated[str, msgspec.Meta(description="what it shows, for whoever reads the report")] = ""
    settle: Annotated[Duration, msgspec.Meta(extra={"least": "0s"}, description=(
        "then all faults are lifted and the candidates go on for so long: late writes may arrive"))] = default("3s")
    nemeses: Annotated[tuple[NemesisOptions, ...], msgspec.Meta(description="what goes wrong; all of them side by side")] = ()
    checks: Annotated[tuple[CheckOptions, ...], msgspec.Meta(description="what is judged; default: every check")] = DEFAULTS
    expect: Annotated[dict[str, Expect], msgspec.Meta(description=(
        "what checks must say, by check; a check that is not named must be valid"))] = {}
    seed: Annotated[Annotated[int, msgspec.Meta(ge=0)] | None, msgspec.Meta(description="of all dice; default: a new one for each run")] = None
    tags: Annotated[tuple[str, ...], msgspec.Meta(description="words to choose scenarios by, such as known-unsafe")] = ()


def load(path: Path, sets: Sequence[str] = ()) -> Scenario:
    """Read a scenario file; `sets` are `path=value` with a value in YAML. Raises BadScenario."""
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()), Scenario, dec_hook=units.decode)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadScenario(f"{path}: {error}") from None
