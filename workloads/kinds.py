"""The registry of workloads: this union."""
from diarchy.workloads.bully import Bully
from diarchy.workloads.lock import Lock
from diarchy.workloads.raft import Raft
from diarchy.workloads.ring import Ring

Workload = Lock | Bully | Ring | Raft
