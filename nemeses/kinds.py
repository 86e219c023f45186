"""The registry of nemeses: this union."""
from diarchy.nemeses.kill import KillHost
from diarchy.nemeses.latency import Latency
from diarchy.nemeses.partition import Partition
from diarchy.nemeses.pause import PauseHost
from diarchy.nemeses.reset import ResetLinks
from diarchy.nemeses.skew import SkewClock
from diarchy.nemeses.stall import StallLinks

NemesisOptions = Partition | Latency | StallLinks | ResetLinks | PauseHost | KillHost | SkewClock
