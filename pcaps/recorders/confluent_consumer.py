"""A plain confluent-kafka consumer that prints what it is told, one JSON line an event. SIGTERM closes it.

Arguments: bootstrap servers, topic, then settings as key=value.
"""
import json
import signal
import sys

from confluent_kafka import Consumer

closing = False


def ask_to_close(_number, _frame):
    global closing
    closing = True


def print_event(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def print_partitions(event):
    def callback(consumer, partitions):
        print_event(event, partitions=sorted(p.partition for p in partitions), member_id=consumer.memberid())
    return callback


def main():
    signal.signal(signal.SIGTERM, ask_to_close)
    settings = dict(argument.split("=", 1) for argument in sys.argv[3:])
    consumer = Consumer({"bootstrap.servers": sys.argv[1], **settings})
    consumer.subscribe([sys.argv[2]], on_assign=print_partitions("assigned"),
                       on_revoke=print_partitions("revoked"), on_lost=print_partitions("lost"))
    records = 0
    while not closing:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            records += 1
    consumer.close()
    print_event("closed", records=records)


if __name__ == "__main__":
    main()
