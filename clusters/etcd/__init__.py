"""etcd as a cluster of containers, and its client."""
