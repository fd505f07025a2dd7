from django_q.brokers.orm import ORM


class BlockRunBroker(ORM):
    pass
