"""ci/bench codec: our codec beside Go's kmsg and Kafka's Java message classes, the same bytes, one run.

    ci/bench codec [--out DIR]

Five messages; for each the nanoseconds of a decode and an encode (the best of 60 rounds), and how many allocations ours
made. Prints the size of the core too. Go or Java that is missing is SKIPPED, with the reason. DIR/codec.json holds the
figures (default out/bench). Exit codes: 0 measured, 3 usage, 4 ours could not be measured.
"""
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "harness", "bench", "codec")
RELEASE = os.path.join(ROOT, "build", "release")
KAFKA = "4.2.0"


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def rows_of(text):
    rows = {}
    for line in text.splitlines():
        words = line.split()
        rows[words[0]] = {"bytes": int(words[1]), "decode_ns": float(words[2]), "encode_ns": float(words[3]),
                          "allocations": int(words[4]) if len(words) > 4 else None}
    return rows


def measure_ours(out):
    for command in (["cmake", "--preset", "release"], ["cmake", "--build", "--preset", "release", "--target", "bench_codec"]):
        done = run(command, cwd=ROOT)
        if done.returncode:
            sys.exit(f"{done.stdout[-2000:]}{done.stderr}\nbench codec: the release build failed")
    done = run([os.path.join(RELEASE, "harness", "bench_codec"), out])
    if done.returncode:
        print(f"bench codec: {done.stderr}", file=sys.stderr)
        sys.exit(4)
    return rows_of(done.stdout)


def measure_kmsg(out):
    if shutil.which("go") is None:
        return "SKIPPED: no Go; a toolchain of 1.24 or newer is needed"
    program = os.path.join(out, "kmsg")
    done = run(["go", "build", "-o", program, "."], cwd=os.path.join(FOLDER, "kmsg"))
    if done.returncode:
        return f"SKIPPED: kmsg does not build: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else '?'}"
    done = run([program, out])
    return rows_of(done.stdout) if done.returncode == 0 else f"SKIPPED: {done.stderr.strip()}"


def measure_java(out):
    if shutil.which("javac") is None:
        return "SKIPPED: no Java compiler; install openjdk-17-jdk-headless"
    cache = os.environ.get("REJOIN_CACHE", os.path.expanduser("~/.cache/rejoin"))
    jars = os.path.join(cache, f"kafka-{KAFKA}")
    if not os.path.isdir(jars):
        return f"SKIPPED: no jars of Kafka {KAFKA}; 'ci/kafka fetch {KAFKA}' brings them"
    done = run(["java", "-Xmx512m", "-XX:+UseSerialGC", "-cp", jars + "/*", os.path.join(FOLDER, "CodecBench.java"), out])
    return rows_of(done.stdout) if done.returncode == 0 else f"SKIPPED: {done.stderr.strip()[-200:]}"


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


def show(name, rows, ours):
    if isinstance(rows, str):
        print(f"{name:8} {rows}")
        return
    for sample, row in rows.items():
        beside = "" if rows is ours else (f"   ours {row['decode_ns'] / ours[sample]['decode_ns']:5.1f} x   "
                                          f"{row['encode_ns'] / ours[sample]['encode_ns']:5.1f} x as fast")
        more = "" if row["allocations"] is None else f"   {row['allocations']} allocations"
        print(f"{name:8} {sample:32} {row['bytes']:7} bytes {row['decode_ns']:10.1f} {row['encode_ns']:10.1f}{more}{beside}")


def main(arguments):
    if "--help" in arguments:
        print(__doc__)
        return 0
    out = os.path.join(ROOT, "out", "bench")
    if arguments[:1] == ["--out"] and len(arguments) == 2:
        out = os.path.abspath(arguments[1])
    elif arguments:
        print(f"bench codec: unknown option {arguments[0]}; try ci/bench codec --help", file=sys.stderr)
        return 3
    os.makedirs(out, exist_ok=True)
    ours = measure_ours(out)
    measured = {"rejoin": ours, "kmsg": measure_kmsg(out), "java": measure_java(out)}
    print(f"{'':8} {'':32} {'':13} {'decode ns':>10} {'encode ns':>10}")
    for name, rows in measured.items():
        show(name, rows, ours)
    measured["sizes"] = sizes()
    print("core: " + ", ".join(f"{value} bytes {key.replace('_', ' ')}" for key, value in measured["sizes"].items()))
    with open(os.path.join(out, "codec.json"), "w", encoding="utf-8") as file:
        json.dump(measured, file, indent=1)
    return 0
