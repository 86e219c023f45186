"""The registry of clusters: this union."""
from diarchy.clusters.etcd.options import Etcd
from diarchy.clusters.simulated.options import Simulated

ClusterOptions = Etcd | Simulated
