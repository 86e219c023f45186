"""The checks that a scenario may ask for: this union is the registry."""
from diarchy.checkers.assumptions import Assumptions
from diarchy.checkers.availability import Availability
from diarchy.checkers.fencing import Fencing
from diarchy.checkers.herd import Herd
from diarchy.checkers.overlap import Overlap
from diarchy.checkers.stability import Stability

CheckOptions = Overlap | Fencing | Availability | Stability | Herd | Assumptions

DEFAULTS: tuple[CheckOptions, ...] = (Assumptions(), Overlap(), Fencing(), Availability(), Stability(), Herd())
"""What is checked where a scenario names nothing."""
