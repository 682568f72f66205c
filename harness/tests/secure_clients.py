"""confluent-kafka or kafka-python, whichever is named, on a secured mock: produces, consumes in a group, is refused.

usage: secure_clients.py LIBRARY BOOTSTRAP PROTOCOL MECHANISM USER PASSWORD CA_FILE TOPIC GROUP
       secure_clients.py LIBRARY ... FORBIDDEN_TOPIC FORBIDDEN_GROUP --refused   (prints what the client says of it)
"""
import sys
import time

COUNT = 30


def confluent(bootstrap, protocol, mechanism, user, password, ca_file):
    return {"bootstrap.servers": bootstrap, "security.protocol": protocol, "sasl.mechanism": mechanism,
            "sasl.username": user, "sasl.password": password, "ssl.ca.location": ca_file}


def confluent_works(settings, topic, group):
    from confluent_kafka import Consumer, Producer
    failed = []
    producer = Producer(settings)
    for i in range(COUNT):
        producer.produce(topic, str(i), on_delivery=lambda error, _: error and failed.append(error))
    assert producer.flush(10) == 0 and not failed, failed
    consumer = Consumer({**settings, "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    seen = set()
    deadline = time.monotonic() + 15
    while len(seen) < COUNT and time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            seen.add(message.value())
    consumer.commit(asynchronous=False)
    consumer.close()
    assert len(seen) == COUNT, len(seen)


def confluent_refused(settings, topic, group):
    from confluent_kafka import Consumer, KafkaException, Producer
    said = []
    producer = Producer(settings)
    producer.produce(topic, "x", on_delivery=lambda error, _: said.append(str(error)))
    producer.flush(10)
    consumer = Consumer({**settings, "group.id": group})
    consumer.subscribe([topic])
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and len(said) < 2:
        message = consumer.poll(0.5)
        if message is not None and message.error() is not None:
            said.append(str(message.error()))
    try:
        consumer.close()
    except KafkaException:
        pass
    return said


def kafka_python(bootstrap, protocol, mechanism, user, password, ca_file):
    return {"bootstrap_servers": bootstrap, "security_protocol": protocol, "sasl_mechanism": mechanism,
            "sasl_plain_username": user, "sasl_plain_password": password, "ssl_cafile": ca_file}


def kafka_python_works(settings, topic, group):
    from kafka import KafkaConsumer, KafkaProducer
    producer = KafkaProducer(**settings)
    for future in [producer.send(topic, str(i).encode()) for i in range(COUNT)]:
        future.get(10)
    producer.close()
    consumer = KafkaConsumer(topic, group_id=group, auto_offset_reset="earliest", consumer_timeout_ms=8000, **settings)
    seen = set()
    for message in consumer:
        seen.add(message.value)
        if len(seen) == COUNT:
            break
    consumer.commit()
    consumer.close()
    assert len(seen) == COUNT, len(seen)


def kafka_python_refused(settings, topic, group):
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.errors import KafkaError
    said = []
    producer = KafkaProducer(max_block_ms=4000, **settings)
    try:
        producer.send(topic, b"x").get(5)
    except KafkaError as error:
        said.append(f"{type(error).__name__}: {error}")
    producer.close(timeout=1)
    consumer = KafkaConsumer(topic, group_id=group, consumer_timeout_ms=4000, **settings)
    try:
        next(consumer, None)
    except KafkaError as error:
        said.append(f"{type(error).__name__}: {error}")
    consumer.close(autocommit=False)
    return said


def main():
    library, *settings, topic, group = [word for word in sys.argv[1:] if word != "--refused"]
    make, works, refused = {"confluent": (confluent, confluent_works, confluent_refused),
                            "kafka-python": (kafka_python, kafka_python_works, kafka_python_refused)}[library]
    if "--refused" in sys.argv:
        for line in refused(make(*settings), topic, group):
            print(f"{library}: {line}")
    else:
        works(make(*settings), topic, group)
        print(f"{library}: {settings[1]} {settings[2]}: {COUNT} records produced and consumed in group {group}")


if __name__ == "__main__":
    main()
