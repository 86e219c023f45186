"""The registry of workloads: this union."""
from diarchy.workloads.lock import Lock
from diarchy.workloads.raft import Raft

Workload = Lock | Raft
