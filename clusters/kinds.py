"""The registry of clusters: this union."""
from diarchy.clusters.etcd.options import Etcd

ClusterOptions = Etcd
