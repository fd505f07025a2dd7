"""The product's settings with a broker that can be told to lose or to multiply its hints."""

from orchestrator_site.settings import *  # noqa: F403
from orchestrator_site.settings import Q_CLUSTER

Q_CLUSTER = {**Q_CLUSTER, "broker_class": "tests.faults.broker.UnreliableBroker"}
