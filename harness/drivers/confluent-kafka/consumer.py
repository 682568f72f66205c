"""One confluent-kafka (librdkafka) consumer as a driver: see harness/drivers/README.md."""
import json
import os
import signal
import sys
import time

from confluent_kafka import Consumer, KafkaError

ASSIGNORS = ("range", "roundrobin", "cooperative-sticky")
UNSUPPORTED = 89


def say(**event):
    print(json.dumps(event), flush=True)


def by_topic(partitions):
    topics = {}
    for partition in sorted(partitions, key=lambda p: (p.topic, p.partition)):
        topics.setdefault(partition.topic, []).append(partition.partition)
    return topics


def reporter(name):
    return lambda _consumer, partitions: say(event=name, partitions=by_topic(partitions))


def on_commit(error, partitions):
    offsets = {}
    for partition in partitions:
        offsets.setdefault(partition.topic, {})[str(partition.partition)] = partition.offset
        error = error or partition.error
    if error is None:
        say(event="commit", offsets=offsets)
    else:
        say(event="commit", offsets=offsets, error=str(error))


def settings():
    env = os.environ
    if env.get("REJOIN_CASE", "").startswith("canary"):
        sys.exit(UNSUPPORTED)
    chosen = {"bootstrap.servers": env["REJOIN_BOOTSTRAP"], "group.id": env["REJOIN_GROUP"],
              "auto.offset.reset": "earliest", "on_commit": on_commit}
    if env.get("REJOIN_PROTOCOL", "classic") != "classic":
        chosen["group.protocol"] = env["REJOIN_PROTOCOL"]
    for variable, name in (("REJOIN_SESSION_TIMEOUT_MS", "session.timeout.ms"),
                           ("REJOIN_HEARTBEAT_INTERVAL_MS", "heartbeat.interval.ms"),
                           ("REJOIN_REBALANCE_TIMEOUT_MS", "max.poll.interval.ms"),
                           ("REJOIN_METADATA_MAX_AGE_MS", "topic.metadata.refresh.interval.ms"),
                           ("REJOIN_COMMIT_INTERVAL_MS", "auto.commit.interval.ms"),
                           ("REJOIN_CLIENT_ID", "client.id"), ("REJOIN_INSTANCE_ID", "group.instance.id")):
        if env.get(variable):
            chosen[name] = env[variable]
    if env.get("REJOIN_ASSIGNOR"):
        if env["REJOIN_ASSIGNOR"] not in ASSIGNORS:
            sys.exit(UNSUPPORTED)
        chosen["partition.assignment.strategy"] = env["REJOIN_ASSIGNOR"]
    return chosen


def subscribe(consumer, topics):
    consumer.subscribe(topics.split(","), on_assign=reporter("assigned"), on_revoke=reporter("revoked"),
                       on_lost=reporter("lost"))


def main():
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    consumer = Consumer(settings())
    subscribe(consumer, os.environ["REJOIN_TOPICS"])
    changed = os.environ.get("REJOIN_CHANGED_TOPICS")
    change_at = time.monotonic() + int(os.environ.get("REJOIN_CHANGE_AFTER_MS", 0)) / 1000
    while not stopping:
        if changed and time.monotonic() >= change_at:
            subscribe(consumer, changed)
            changed = None
        message = consumer.poll(0.1)
        if message is None:
            continue
        if message.error():
            if message.error().code() != KafkaError._PARTITION_EOF:
                say(event="error", message=str(message.error()), fatal=message.error().fatal())
            continue
        say(event="record", topic=message.topic(), partition=message.partition(), offset=message.offset(),
            value=(message.value() or b"").decode("utf-8", "replace"))
    consumer.close()


if __name__ == "__main__":
    main()
