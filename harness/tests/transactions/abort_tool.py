"""Leaves a transaction open, has a tool abort it, and sees that it has: what was written is aborted, and read past.

  abort_tool.py REJOIN HOST:PORT COMMAND...   the command aborts what begins at offset 0 of topic-abort-tool-0
"""
import subprocess
import sys

from sessions import Session
from wire import Wire


def main():
    rejoin, address, *command = sys.argv[1:]
    session = Session(Wire(rejoin, address), "abort-tool", "4.1")
    session.create_topic()
    producer = session.init("begin")
    session.add("add", producer)
    session.produce("write", producer, 0)
    subprocess.run(command, check=True, timeout=60)
    seen = session.fetch("aborted", True)["responses"][0]["partitions"][0]
    state = session.producers("aborted")["topics"][0]["partitions"][0]["activeProducers"][0]
    got = (seen["highWatermark"], seen["lastStableOffset"], seen["abortedTransactions"],
           state["currentTxnStartOffset"], state["coordinatorEpoch"])
    print(f"after {' '.join(command[-7:])}: {got}")
    return 0 if got == (2, 2, [{"producerId": producer[0], "firstOffset": 0}], -1, 0) else 1


if __name__ == "__main__":
    sys.exit(main())
