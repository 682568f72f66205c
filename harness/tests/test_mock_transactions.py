"""What rejoin mock answers to requests of transactions is what Kafka 4.1.1 and 3.9.1 answered (transactions/)."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "transactions"))
from compare import compare, read, tell  # noqa: E402

REJOIN = sys.argv[1]


def with_mock(release, ask):
    mock = subprocess.Popen([REJOIN, "mock", "--kafka-version", release, "--initial-rebalance-delay-ms", "0"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            env={**os.environ, "MALLOC_PERTURB_": "65"})  # memory is not zero
    try:
        return ask(mock.stdout.readline().split()[1])
    finally:
        mock.terminate()
        assert mock.wait(timeout=10) == 0, "SIGTERM ends it with 0"


def main():
    failed = 0
    for release, recorded in (("4.1", "kafka-4.1.1.jsonl"), ("3.9", "kafka-3.9.1.jsonl")):
        expected = read(os.path.join(HERE, "transactions", recorded))
        compared, different = compare(with_mock(release, lambda address: tell(REJOIN, address, release)), expected)
        print(f"{release}: {compared} answers compared, {different} differ")
        failed += different + (compared < 200)
    return 1 if failed else 0


sys.exit(main())
