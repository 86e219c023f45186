"""The registry of election services: this union."""
from diarchy.clusters.simulated.services.lease import Lease

ServiceOptions = Lease
