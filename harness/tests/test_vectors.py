"""Messages that other projects published: every one decodes to what is listed, and encodes to the same bytes.

The folder is named by REJOIN_VECTORS; the test is skipped without it."""
import base64
import collections
import glob
import json
import os
import subprocess
import sys

REJOIN = sys.argv[1]
FOLDER = os.environ.get("REJOIN_VECTORS")
NOT_CLIENTS = ("BrokerHeartbeat",)
TYPES = {"member_metadata": "consumer-subscription", "member_assignment": "consumer-assignment"}


def run(command, text, options):
    done = subprocess.run([REJOIN, command, *options], input=text.encode(), capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(), done.stderr.decode().strip()


def plain(value):
    """Their spelling -> ours: names begin small, bytes are base64, uuids Kafka's 22 characters."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"hex"}:
        return base64.b64encode(bytes.fromhex(value["hex"])).decode()
    return {name[0].lower() + name[1:]: plain(item) for name, item in value.items()}


def same_uuid(ours, theirs):
    """Theirs are 32 hexadecimal digits."""
    return len(ours) == 22 and len(theirs) == 32 and base64.urlsafe_b64decode(ours + "==").hex() == theirs


def is_sent_default(value):
    """A tagged field that was sent although it holds its default: Kafka reads it, and does not write it again."""
    return value == [] or (isinstance(value, dict) and all(item == -1 for item in value.values()))


def differences(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted((set(ours) | set(theirs)) - {"_unknownTaggedFields"}):
            if name not in ours and is_sent_default(theirs[name]):
                yield "default"
            elif name not in theirs or name not in ours:
                yield f"{path}.{name}: only {'ours' if name in ours else 'theirs'}"
            else:
                yield from differences(ours[name], theirs[name], f"{path}.{name}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (left, right) in enumerate(zip(ours, theirs)):
            yield from differences(left, right, f"{path}[{index}]")
    elif ours != theirs and not (isinstance(ours, str) and isinstance(theirs, str) and same_uuid(ours, theirs)):
        yield f"{path}: ours {ours!r}, theirs {theirs!r}"


def options_of(vector):
    if vector["kind"] in TYPES:
        return ["--type", TYPES[vector["kind"]]]
    options = ["--api", str(vector["api"]), "--version", str(vector["version"]), "--kind", vector["kind"]]
    return options + ([] if vector["framing"] == "body" else ["--frame"])


def check(vector):
    """What is wrong with it; nothing: fine."""
    options = options_of(vector)
    status, text, error = run("decode", vector["hex"], options)
    if vector.get("schema_check", "ok") != "ok":  # a script's slip: null where there is none, a wrong frame length
        return [] if status == 1 else ["was read, though " + vector["schema_check"]]
    if status != 0:
        return [error]
    seen = json.loads(text)
    body = seen["data"] if vector["kind"] in TYPES else seen if vector["framing"] == "body" else seen["body"]
    wrong = list(differences(body, plain(vector["decoded"]))) if vector["decoded"] is not None else []
    status, again, error = run("encode", text, options)
    again = again.strip()
    if vector["framing"] == "header+body":
        again = again[8:]
    if status != 0 or (again != vector["hex"] and "default" not in wrong):
        wrong.append(f"encoded again: {error or again}")
    return [what for what in wrong if what != "default"]


def vectors_of(path):
    for entry in json.load(open(path, encoding="utf-8")):
        if "steps" not in entry:
            yield entry
        for number, step in enumerate(entry.get("steps", [])):
            if "hex" in step:
                yield {**step, "name": f"{entry['name']}#{number}", "kind": step["dir"], "framing": "frame"}


def main():
    if not FOLDER:
        print("SKIPPED: REJOIN_VECTORS names no folder with messages of other projects")
        return 77
    passed, failed = collections.Counter(), 0
    for path in sorted(glob.glob(os.path.join(FOLDER, "*.json"))):
        for vector in vectors_of(path):
            if vector["api"] in NOT_CLIENTS:
                print(f"{vector['name']}: {vector['api']} is spoken between brokers and their controller only")
                continue
            wrong = check(vector)
            if wrong:
                failed += 1
                print(f"{os.path.basename(path)} {vector['name']} {vector['kind']} {vector.get('api')} v{vector['version']}:"
                      f" {'; '.join(wrong[:3])[:400]}")
            else:
                passed[os.path.basename(path)] += 1
    for name, count in passed.items():
        print(f"{name}: {count} decoded and encoded again")
    print(f"{sum(passed.values())} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
