"""ci/bench codec: our codec beside Go's kmsg and Kafka's Java message classes, the same bytes, one run.

    ci/bench codec [--out DIR] [--turns N]

Five messages. The three programs take turns (default 7 times), so that a busy machine is busy for all of them. For each
message: the nanoseconds of a decode and an encode, the best of all turns; how many allocations ours made; and how many
times as long the others took, the median of the turns, beside what is aimed at. Prints the size of the core too. Go or
Java that is missing is SKIPPED, with the reason. DIR/codec.json holds the figures (default out/bench). Exit codes:
0 measured, 3 usage, 4 ours could not be measured.
"""
import json
import os
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "harness", "bench", "codec")
RELEASE = os.path.join(ROOT, "build", "release")
KAFKA = "4.2.0"
ROUNDS = 10
# How many times as fast as kmsg a decode shall be; encoding shall be no slower than either.
AIMS = {"heartbeat_request_v4": 2, "join_group_response_v9_100": 4, "offset_commit_request_v8_10x10": 5}


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def rows_of(text):
    rows = {}
    for line in text.splitlines():
        words = line.split()
        rows[words[0]] = {"bytes": int(words[1]), "decode_ns": float(words[2]), "encode_ns": float(words[3]),
                          "allocations": int(words[4]) if len(words) > 4 else None}
    return rows


def prepare_ours(out):
    for command in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "--target", "bench_codec"]):
        done = run(command, cwd=ROOT)
        if done.returncode:
            print(f"{done.stdout[-2000:]}{done.stderr}\nbench codec: the release build failed", file=sys.stderr)
            sys.exit(4)
    return [os.path.join(RELEASE, "harness", "bench_codec"), out, str(ROUNDS)]


def prepare_kmsg(out):
    if shutil.which("go") is None:
        return "SKIPPED: no Go; a toolchain of 1.24 or newer is needed"
    program = os.path.join(out, "kmsg")
    done = run(["go", "build", "-o", program, "."], cwd=os.path.join(FOLDER, "kmsg"))
    if done.returncode:
        return f"SKIPPED: kmsg does not build: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else '?'}"
    return [program, out, str(ROUNDS)]


def prepare_java(out):
    if shutil.which("javac") is None:
        return "SKIPPED: no Java compiler; install openjdk-17-jdk-headless"
    cache = os.environ.get("REJOIN_CACHE", os.path.expanduser("~/.cache/rejoin"))
    jars = os.path.join(cache, f"kafka-{KAFKA}")
    if not os.path.isdir(jars):
        return f"SKIPPED: no jars of Kafka {KAFKA}; 'ci/kafka fetch {KAFKA}' brings them"
    done = run(["javac", "-cp", jars + "/*", "-d", out, os.path.join(FOLDER, "CodecBench.java")])
    if done.returncode:
        return f"SKIPPED: {done.stderr.strip()[-200:]}"
    return ["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{jars}/*:{out}", "CodecBench", out, str(ROUNDS)]


def measure(commands, turns):
    """{program: [rows of each turn]}; a program that fails is SKIPPED with the reason, ours may not."""
    measured = {name: command if isinstance(command, str) else [] for name, command in commands.items()}
    for turn in range(turns):
        print(f"turn {turn + 1} of {turns}", file=sys.stderr)
        for name, command in commands.items():
            if isinstance(measured[name], str):
                continue
            done = run(command)
            if done.returncode == 0:
                measured[name].append(rows_of(done.stdout))
            elif name == "rejoin":
                print(f"bench codec: {done.stderr}", file=sys.stderr)
                sys.exit(4)
            else:
                measured[name] = f"SKIPPED: {done.stderr.strip()[-200:]}"
    return measured


def best_of(turns):
    """The least of all turns, by message."""
    return {sample: {**row, **{key: min(rows[sample][key] for rows in turns) for key in ("decode_ns", "encode_ns")}}
            for sample, row in turns[0].items()}


def times_as_long(turns, ours, sample, key):
    return statistics.median(theirs[sample][key] / own[sample][key] for theirs, own in zip(turns, ours))


def sizes():
    """Bytes of the library, by section kind, of the whole core and of the message tables."""
    library = os.path.join(RELEASE, "proto", "librejoin-proto.a")
    total, tables = [0, 0], 0
    for line in run(["size", library]).stdout.splitlines()[1:]:
        words = line.split()
        total[0] += int(words[0])
        total[1] += int(words[1]) + int(words[2])
        if "schema_tables" in line:
            tables = int(words[0]) + int(words[1])
    return {"text_and_constants": total[0], "relocated_tables": total[1], "of_them_message_tables": tables}


def show(name, turns, ours):
    """Prints a program's rows and returns them."""
    if isinstance(turns, str):
        print(f"{name:8} {turns}")
        return turns
    rows = best_of(turns)
    for sample, row in rows.items():
        tail = f"   {row['allocations']} allocations"
        if turns is not ours:
            aims = AIMS.get(sample, 0) if name == "kmsg" else 0, 1
            tail = "   ours"
            for key, aim in zip(("decode_ns", "encode_ns"), aims):
                row[key + "_times_ours"] = times = times_as_long(turns, ours, sample, key)
                wanted = "" if aim == 0 else f" (aim {aim})" if times >= aim else f" (aim {aim} MISSED)"
                tail += f" {times:5.2f} x{wanted:15}"
            tail = tail.rstrip() + " as fast"
        print(f"{name:8} {sample:32} {row['bytes']:7} bytes {row['decode_ns']:10.1f} {row['encode_ns']:10.1f}{tail}")
    return rows


def main(arguments):
    if "--help" in arguments:
        print(__doc__)
        return 0
    out, turns = os.path.join(ROOT, "out", "bench"), 7
    while arguments:
        if arguments[0] == "--out" and len(arguments) > 1:
            out = os.path.abspath(arguments[1])
        elif arguments[0] == "--turns" and len(arguments) > 1 and arguments[1].isdigit() and int(arguments[1]) > 0:
            turns = int(arguments[1])
        else:
            print(f"bench codec: unknown option {' '.join(arguments)}; try ci/bench codec --help", file=sys.stderr)
            return 3
        arguments = arguments[2:]
    os.makedirs(out, exist_ok=True)
    measured = measure({"rejoin": prepare_ours(out), "kmsg": prepare_kmsg(out), "java": prepare_java(out)}, turns)
    print(f"{'':8} {'':32} {'':13} {'decode ns':>10} {'encode ns':>10}")
    figures = {name: show(name, rows, measured["rejoin"]) for name, rows in measured.items()}
    figures["sizes"] = sizes()
    print("core: " + ", ".join(f"{value} bytes {key.replace('_', ' ')}" for key, value in figures["sizes"].items()))
    with open(os.path.join(out, "codec.json"), "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
    return 0
