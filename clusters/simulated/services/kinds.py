"""The registry of election services: this union."""
from diarchy.clusters.simulated.services.kubernetes import Kubernetes
from diarchy.clusters.simulated.services.lease import Lease
from diarchy.clusters.simulated.services.redis import Redis
from diarchy.clusters.simulated.services.redlock import Redlock
from diarchy.clusters.simulated.services.zookeeper import ZooKeeper

ServiceOptions = Lease | Kubernetes | Redis | Redlock | ZooKeeper
