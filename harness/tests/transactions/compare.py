"""Asks a broker what sessions.py has, and compares with what a real Kafka answered.

  compare.py REJOIN HOST:PORT RELEASE FILE            compares with FILE, prints what differs; exit 1 if anything does
  compare.py REJOIN HOST:PORT RELEASE FILE --record [SESSION...]   writes FILE, of all sessions or of these
"""
import json
import sys

from sessions import SESSIONS, Session
from wire import Wire


def tell(rejoin, address, release, names=None):
    """Every session's answers, by name; names: only of these."""
    told = {}
    for name, (since, course) in SESSIONS.items():
        if names is not None and name not in names:
            continue
        if tuple(map(int, since.split("."))) > tuple(map(int, release.split(".")[:2])):
            continue
        wire = Wire(rejoin, address)
        session = Session(wire, name.replace("_", "-"), release)
        session.create_topic()
        try:
            course(session)
        except (ConnectionError, OSError) as problem:
            wire.told.append({"step": "(the session broke off)", "request": "", "answer": str(problem)})
        told[name] = wire.told
    return told


def show(answer):
    return json.dumps(answer, sort_keys=True)


def compare(told, expected):
    """Prints what differs; returns how many answers were compared and how many differ."""
    compared = different = 0
    for name, steps in expected.items():
        for i, want in enumerate(steps):
            got = told[name][i] if i < len(told.get(name, [])) else None
            compared += 1
            if got == want:
                continue
            different += 1
            print(f"{name}, {want['step']} ({want['request']}):\n  Kafka  {show(want['answer'])}\n"
                  f"  here   {show(got['answer']) if got else 'nothing'}")
        extra = len(told.get(name, [])) - len(steps)
        if extra > 0:
            different += extra
            print(f"{name}: {extra} answers that Kafka did not give")
    return compared, different


def write(path, told):
    with open(path, "w", encoding="utf-8") as out:
        for name, steps in told.items():
            for step in steps:
                out.write(json.dumps({"session": name, **step}) + "\n")


def read(path):
    expected = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            step = json.loads(line)
            expected.setdefault(step.pop("session"), []).append(step)
    return expected


def main():
    rejoin, address, release, path = sys.argv[1:5]
    if "--record" in sys.argv:
        told = tell(rejoin, address, release, sys.argv[6:] or None)
        write(path, told)
        print(f"{sum(map(len, told.values()))} answers in {len(told)} sessions")
        return 0
    expected = read(path)
    compared, different = compare(tell(rejoin, address, release, expected), expected)
    print(f"{compared} answers compared, {different} differ")
    return 1 if different or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
