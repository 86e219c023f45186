"""The registry of workloads: this union."""
from diarchy.workloads.lock import Lock

Workload = Lock
