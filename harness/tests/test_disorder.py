#!/usr/bin/env python3
"""Recorded captures with packets lost, doubled, shuffled, cut, and with their beginning or end missing: `rejoin check` may
judge less, but reports no breach, as there is none; and shuffled or doubled packets take nothing away.
Usage: test_disorder.py REJOIN [SEED]"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_pcap import packets

REJOIN = sys.argv[1]
SEED = sys.argv[2] if len(sys.argv) > 2 else "1"
PCAPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "pcaps")


def lost(share):
    return lambda taken, dice: [packet for packet in taken if dice.random() > share]


def doubled(taken, dice):
    return [packet for packet in taken for _ in range(2 if dice.random() < 0.1 else 1)]


def shuffled(taken, dice):
    """Neighbours change places, as captures of several processors have it; times stay in order."""
    out, at = list(taken), 0
    while at + 1 < len(out):
        (first_us, *first), (second_us, *second) = out[at:at + 2]
        if dice.random() < 0.1 and second_us - first_us < 2000:
            out[at:at + 2] = [(first_us, *second), (second_us, *first)]
            at += 1
        at += 1
    return out


def begun_late(taken, dice):
    return taken[dice.randrange(len(taken) // 4, 3 * len(taken) // 4):]


def ended_early(taken, dice):
    return taken[:dice.randrange(len(taken) // 4, len(taken))]


def cut_short(taken, dice):
    kept = dice.choice([96, 128, 200, 300])
    return [(time_us, data[:kept], length) for time_us, data, length in taken]


DISORDER = {"one in a hundred lost": lost(0.01), "one in ten lost": lost(0.1), "every second lost": lost(0.5),
            "doubled": doubled, "shuffled": shuffled, "begun late": begun_late, "ended early": ended_early,
            "cut short": cut_short, "begun late, some lost": lambda taken, dice: lost(0.02)(begun_late(taken, dice), dice)}


def write(path, taken):
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for time_us, data, length in taken:
            file.write(struct.pack("<IIII", time_us // 1000000, time_us % 1000000, len(data), length) + data)


def check(path):
    done = subprocess.run([REJOIN, "check", path, "--json"], capture_output=True)
    return done.returncode, json.loads(done.stdout)


def main():
    failures = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "disorder.pcap")
        for name in sorted(os.listdir(PCAPS)):
            if not name.endswith(".pcapng"):
                continue
            taken = [(time_us, data, len(data)) for time_us, data in packets(os.path.join(PCAPS, name))]
            _, whole = check(os.path.join(PCAPS, name))
            for kind, disorder in DISORDER.items():
                write(path, disorder(taken, random.Random(SEED + name + kind)))
                code, found = check(path)
                tried += 1
                problem = None
                if found["violations"] or code not in (0, 5):
                    problem = f"exit {code}, " + "; ".join(
                        f"{v['rule']} frame {v['frames'][0]}: {v['sentence']}" for v in found["violations"][:3])
                elif kind in ("doubled", "shuffled") and (found["gaps"] or found["requests"] != whole["requests"] or
                                                          found["responses"] != whole["responses"]):
                    problem = f"{found['gaps']} gaps, {found['requests']} of {whole['requests']} requests"
                if problem:
                    failures += 1
                    print(f"FAILED {name}, {kind} (seed {SEED}): {problem}")
    print(f"{tried} captures in disorder, {failures} failures")
    return 1 if failures or tried < 100 else 0


sys.exit(main())
