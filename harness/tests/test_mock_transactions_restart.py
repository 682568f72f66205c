"""Transactions on a data directory: one that was open when the mock was killed goes on, one whose end was written down
is ended in every partition, and producers are known and fenced as before."""
import glob
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "transactions"))
from sessions import Session  # noqa: E402
from wire import Wire, error_codes  # noqa: E402

REJOIN = sys.argv[1]
UNSTABLE_OFFSET_COMMIT, INVALID_PRODUCER_EPOCH, PRODUCER_FENCED = 88, 47, 90


class Mock:
    def __init__(self, folder):
        self.process = subprocess.Popen([REJOIN, "mock", "--data-dir", folder, "--offsets-segment-bytes", "3000"],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                        env={**os.environ, "MALLOC_PERTURB_": "65"})  # memory is not zero
        self.wire = Wire(REJOIN, self.process.stdout.readline().split()[1])

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def refusals(answer):
    return [code for code in error_codes(answer) if code]


def stable_end(session, partition):
    return session.list_offsets("", True, partition=partition)["topics"][0]["partitions"][0]["offset"]


def state_of(session):
    return session.describe("")["transactionStates"][0]


def cut_last_batch(path):
    """As if the mock had been killed before it wrote it."""
    with open(path, "r+b") as file:
        data, at, last = file.read(), 0, 0
        while at < len(data):
            last, at = at, at + 12 + struct.unpack_from(">i", data, at + 8)[0]
        file.truncate(last)


def run_transaction(session, producer, sequence, offset):
    assert not refusals(session.add("", producer, partitions=(0, 1)))
    assert not refusals(session.add_offsets("", producer))
    for partition in (0, 1):
        assert not refusals(session.produce("", producer, sequence, partition=partition))
    assert not refusals(session.commit_offset("", producer, offset))


def an_open_one_goes_on(folder):
    mock = Mock(folder)
    session = Session(mock.wire, "open", [])
    session.create_topic()
    producer = session.init("")
    run_transaction(session, producer, 0, 7)
    mock.kill()
    mock = Mock(folder)
    session.wire = mock.wire
    state = state_of(session)
    assert (state["transactionState"], state["producerId"], state["producerEpoch"]) == ("Ongoing", *producer), state
    assert sum(len(topic["partitions"]) for topic in state["topics"]) == 3, state
    assert [stable_end(session, partition) for partition in (0, 1)] == [0, 0]
    assert refusals(session.offsets("", True)) == [UNSTABLE_OFFSET_COMMIT]
    assert not refusals(session.produce("", producer, 1))
    session.end("", producer, True)
    session.settled()
    assert [stable_end(session, partition) for partition in (0, 1)] == [3, 2]
    assert session.offsets("", True)["topics"][0]["partitions"][0]["committedOffset"] == 7
    mock.kill()


def one_that_was_to_end_ends(folder, commit):
    mock = Mock(folder)
    session = Session(mock.wire, "open", [])
    before = [stable_end(session, partition) for partition in (0, 1)]
    offset = session.offsets("", True)["topics"][0]["partitions"][0]["committedOffset"]
    producer = session.init("")
    run_transaction(session, producer, 0, offset + 1)
    session.end("", producer, commit)
    session.settled()
    mock.kill()
    # What stands is that it ends, and the marker of the first partition.
    cut_last_batch(os.path.join(folder, "topic-open-1", "0" * 20 + ".log"))
    for path in glob.glob(os.path.join(folder, "__transaction_state-*", "*.log")):
        cut_last_batch(path)
    mock = Mock(folder)
    session.wire = mock.wire
    session.settled()
    assert state_of(session)["transactionState"] == ("CompleteCommit" if commit else "CompleteAbort")
    assert all(stable_end(session, p) == before[p] + 2 + (p == 0) for p in (0, 1)), [
        before, [stable_end(session, p) for p in (0, 1)]]
    found = session.offsets("", True)["topics"][0]["partitions"][0]["committedOffset"]
    assert found == offset + commit, (found, offset)
    fenced = producer
    assert session.init("")[1] > fenced[1], "a new epoch"
    assert set(refusals(session.add("", fenced))) <= {INVALID_PRODUCER_EPOCH, PRODUCER_FENCED}
    assert refusals(session.add("", fenced)), "the old producer is fenced"
    mock.kill()


def the_log_stays_short(folder):
    mock = Mock(folder)
    session = Session(mock.wire, "open", [])
    producer = session.init("")
    for i in range(40):
        assert not refusals(session.add("", producer, partitions=(0,)))
        session.end("", producer, False)
    mock.kill()
    sizes = [os.path.getsize(path) for path in glob.glob(os.path.join(folder, "__transaction_state-*", "*.log"))]
    assert max(sizes) < 3500, sizes
    mock = Mock(folder)
    session.wire = mock.wire
    assert state_of(session)["producerEpoch"] == producer[1]
    mock.kill()


with tempfile.TemporaryDirectory() as parent:
    data = os.path.join(parent, "data")
    an_open_one_goes_on(data)
    one_that_was_to_end_ends(data, True)
    one_that_was_to_end_ends(data, False)
    the_log_stays_short(data)
print("open, ending and ended transactions are what they were after kill -9")
