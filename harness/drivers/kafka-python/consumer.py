"""One kafka-python consumer as a driver: see harness/drivers/README.md."""
import json
import os
import signal
import sys

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

ASSIGNORS = {"range": RangePartitionAssignor, "roundrobin": RoundRobinPartitionAssignor,
             "sticky": StickyPartitionAssignor}
UNSUPPORTED = 89


def say(**event):
    print(json.dumps(event), flush=True)


def by_topic(partitions):
    topics = {}
    for partition in sorted(partitions):
        topics.setdefault(partition.topic, []).append(partition.partition)
    return topics


class Reporter(ConsumerRebalanceListener):
    def on_partitions_assigned(self, assigned):
        say(event="assigned", partitions=by_topic(assigned))

    def on_partitions_revoked(self, revoked):
        say(event="revoked", partitions=by_topic(revoked))


def settings():
    env = os.environ
    if env.get("REJOIN_CASE", "").startswith("canary") or env.get("REJOIN_PROTOCOL", "classic") != "classic":
        sys.exit(UNSUPPORTED)
    chosen = {"bootstrap_servers": env["REJOIN_BOOTSTRAP"].split(","), "group_id": env["REJOIN_GROUP"],
              "auto_offset_reset": "earliest", "client_id": env.get("REJOIN_CLIENT_ID", "kafka-python-driver")}
    for variable, name in (("REJOIN_SESSION_TIMEOUT_MS", "session_timeout_ms"),
                           ("REJOIN_HEARTBEAT_INTERVAL_MS", "heartbeat_interval_ms"),
                           ("REJOIN_REBALANCE_TIMEOUT_MS", "max_poll_interval_ms"),
                           ("REJOIN_COMMIT_INTERVAL_MS", "auto_commit_interval_ms")):
        if env.get(variable):
            chosen[name] = int(env[variable])
    if env.get("REJOIN_INSTANCE_ID"):
        chosen["group_instance_id"] = env["REJOIN_INSTANCE_ID"]
    if env.get("REJOIN_ASSIGNOR"):
        if env["REJOIN_ASSIGNOR"] not in ASSIGNORS:
            sys.exit(UNSUPPORTED)
        chosen["partition_assignment_strategy"] = [ASSIGNORS[env["REJOIN_ASSIGNOR"]]]
    return chosen


def main():
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    consumer = KafkaConsumer(**settings())
    consumer.subscribe(os.environ["REJOIN_TOPICS"].split(","), listener=Reporter())
    while not stopping:
        for partition, records in consumer.poll(timeout_ms=100).items():
            for record in records:
                say(event="record", topic=partition.topic, partition=partition.partition, offset=record.offset,
                    value=(record.value or b"").decode("utf-8", "replace"))
    consumer.close()


if __name__ == "__main__":
    main()
