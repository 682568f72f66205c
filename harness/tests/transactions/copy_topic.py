"""Applications that copy a topic in transactions, on the mock and on a real Kafka: every record arrives once with
read_committed, what was aborted never, and both brokers show them the same.

  copy_topic.py REJOIN [NAME=HOST:PORT ...]   further brokers

Exit 77 with a line SKIPPED where neither client can be built."""
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from kafka_pcap import Capture  # noqa: E402
from wire import Wire  # noqa: E402

REJOIN = sys.argv[1]
CLIENTS = {"java": "InvalidProducerEpochException", "franz-go": "INVALID_PRODUCER_EPOCH"}
END_TXN = 26


def expected(client):
    return {"records_in": 120, "committed_seen": 120, "missing": 0, "duplicates": 0, "aborted_seen": 0,
            "never_copied": True, "aborts": True, "fenced_by_successor": CLIENTS[client],
            "uncommitted_reader": {"committed": 120, "sees_aborted": True, "sees_died": True, "fenced": 1}}


def run(client, address, phase):
    done = subprocess.run([os.path.join(HERE, client, "run"), address, phase, f"in-{client}", f"out-{client}",
                           f"group-{client}"], capture_output=True, text=True, timeout=120)
    if done.returncode == 77:
        print(done.stdout.strip())
        return None
    wanted = 42 if phase == "first" else 0
    if done.returncode != wanted:
        raise RuntimeError(f"{client} {phase}: exit {done.returncode}\n{done.stdout}\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def copy(name, client, address):
    """None: the client cannot be had; else whether all is as it should be."""
    died = run(client, address, "first")
    if died is None:
        return None
    seen = run(client, address, "second")
    ok = died["died_with_records"] and seen == expected(client)
    print(f"{name:12} {client:9} {json.dumps(seen)}" + ("" if ok else f"\n  expected {json.dumps(expected(client))}"))
    return ok


def create_topics(address):
    topics = [{"name": f"{end}-{client}", "numPartitions": 3, "replicationFactor": 1, "assignments": [], "configs": []}
              for client in CLIENTS for end in ("in", "out")]
    answer = Wire(REJOIN, address).exchange("CreateTopics", 5, {"topics": topics, "timeoutMs": 10000,
                                                                "validateOnly": False})
    assert all(one["errorCode"] == 0 for one in answer["topics"]), answer


class Mock:
    def __init__(self, release):
        self.capture = tempfile.NamedTemporaryFile(suffix=".pcapng")
        self.process = subprocess.Popen([REJOIN, "mock", "--brokers", "2", "--kafka-version", release, "--record",
                                         self.capture.name, "--initial-rebalance-delay-ms", "0"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().split()[1]

    def end_versions(self):
        """By which versions of EndTxn transactions were ended."""
        self.process.terminate()
        assert self.process.wait(timeout=10) == 0, "SIGTERM ends it with 0"
        messages = Capture(self.capture.name, REJOIN).messages
        return sorted({one.version for one in messages if one.is_request and one.api == END_TXN})


def main():
    mocks = {"mock 4.1": Mock("4.1"), "mock 3.9": Mock("3.9")}
    addresses = {name: mock.address for name, mock in mocks.items()}
    addresses.update(word.split("=", 1) for word in sys.argv[2:])
    try:
        for address in addresses.values():
            create_topics(address.split(",")[0])
        with ThreadPoolExecutor(3) as pool:
            results = list(pool.map(lambda one: copy(*one), [(name, client, address) for client in CLIENTS
                                                             for name, address in addresses.items()]))
    finally:
        versions = {name: mock.end_versions() for name, mock in mocks.items()}
    print("versions of EndTxn:", versions)
    if all(result is None for result in results):
        return 77
    right_versions = versions["mock 4.1"] == [5] and versions["mock 3.9"] and versions["mock 3.9"][-1] <= 4
    return 0 if False not in results and right_versions else 1


if __name__ == "__main__":
    sys.exit(main())
