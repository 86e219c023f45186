"""The checks that a scenario may ask for: this union is the registry."""
from diarchy.checkers.assumptions import Assumptions
from diarchy.checkers.availability import Availability
from diarchy.checkers.fencing import Fencing
from diarchy.checkers.overlap import Overlap

CheckOptions = Overlap | Fencing | Availability | Assumptions

DEFAULTS: tuple[CheckOptions, ...] = (Assumptions(), Overlap(), Fencing(), Availability())
"""What is checked where a scenario names nothing."""
