"""What rejoin mock answers to requests of transactions is what Kafka answered (transactions/kafka-*.jsonl)."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "transactions"))
from compare import compare, read, tell  # noqa: E402
from sessions import Session  # noqa: E402
from wire import Wire  # noqa: E402

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


def a_restart_aborts_what_nobody_knows():
    """Where __transaction_state is lost, readers must not wait for the end of a transaction for ever."""
    with tempfile.TemporaryDirectory() as directory:
        options = [REJOIN, "mock", "--kafka-version", "4.1", "--data-dir", directory]

        def start():
            mock = subprocess.Popen(options, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            wire = Wire(REJOIN, mock.stdout.readline().split()[1])
            return mock, wire, Session(wire, "restart", "4.1")

        mock, wire, session = start()
        session.create_topic()
        producer = session.init("begin")
        session.produce("committed", producer, 0, version=12, values=("a0",))
        session.commit_offset("committed", producer, 5, version=5)
        producer = session.end("commit", producer, True, 5)
        session.produce("open", producer, 0, version=12, values=("b0",))
        session.commit_offset("open", producer, 9, version=5)
        mock.kill()
        mock.wait()
        for folder in glob.glob(os.path.join(directory, "__transaction_state-*")):
            shutil.rmtree(folder)
        mock, wire, session = start()
        fetched = session.fetch("after the restart", True)["responses"][0]["partitions"][0]
        offset = session.offsets("after the restart", True)["topics"][0]["partitions"][0]
        refused = session.produce("goes on", producer, 1, version=12)["responses"][0]["partitionResponses"][0]
        mock.kill()
        mock.wait()
    seen = (fetched["highWatermark"], fetched["lastStableOffset"], fetched["abortedTransactions"][0]["firstOffset"],
            offset["committedOffset"], offset["errorCode"], refused["errorCode"])
    print("after a restart:", seen)
    assert seen == (4, 4, 2, 5, 0, 47), seen


def a_coordinator_that_moves_keeps_what_is_open():
    """Its records, and where a transaction in them ends, are all that it has."""
    with tempfile.TemporaryDirectory() as directory:
        control = os.path.join(directory, "control")
        mock = subprocess.Popen([REJOIN, "mock", "--control", control], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)
        session = Session(Wire(REJOIN, mock.stdout.readline().split()[1]), "move", "4.1")

        def offset_after_move(stable):
            subprocess.run([REJOIN, "ctl", control, "move-coordinator", session.group, "0", "0"], check=True,
                           stdout=subprocess.DEVNULL)
            partition = session.offsets("moved", stable)["topics"][0]["partitions"][0]
            return partition["committedOffset"], partition["errorCode"]

        session.create_topic()
        producer = session.init("begin")
        session.commit_offset("first", producer, 5, version=5)
        seen = [offset_after_move(True), offset_after_move(False)]
        producer = session.end("commit", producer, True, 5)
        seen.append(offset_after_move(True))
        session.commit_offset("second", producer, 9, version=5)
        session.end("abort", producer, False, 5)
        seen.append(offset_after_move(True))
        mock.terminate()
        mock.wait()
    print("after moves:", seen)
    assert seen == [(-1, 88), (-1, 0), (5, 0), (5, 0)], seen


def main():
    a_restart_aborts_what_nobody_knows()
    a_coordinator_that_moves_keeps_what_is_open()
    failed = 0
    for release, recorded, least in (("4.1", "kafka-4.1.1.jsonl", 300), ("3.9", "kafka-3.9.1.jsonl", 200),
                                     ("4.2", "kafka-4.2.0.jsonl", 20)):  # the last: what 4.1 does not have
        expected = read(os.path.join(HERE, "transactions", recorded))
        told = with_mock(release, lambda address: tell(REJOIN, address, release, expected))
        compared, different = compare(told, expected)
        print(f"{release}: {compared} answers compared, {different} differ")
        failed += different + (compared < least)
    return 1 if failed else 0


sys.exit(main())
