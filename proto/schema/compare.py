#!/usr/bin/env python3
"""Compares definitions/*.schema with the message definitions inside Kafka's jars, version by version, field by field.

usage: compare.py [--explained FILE] RELEASE=JAR[,JAR...]...

Every version that the release has must be ours with the same fields in the same order: name, type, nullable, tag,
default, ignorable, map key, and the same flexible versions. Every message that a broker listens to must be there.
Prints what to add or change. FILE explains differences, one a line: RELEASE MESSAGE FIELD|- PROPERTY reason; a line
that explains nothing is a complaint too. Exit codes: 0 no difference left, 1 some, 3 usage.
"""
import json
import os
import sys
import zipfile

import generate

RECORD_TYPES = {"coordinator-key": "key", "coordinator-value": "value"}
DEFAULTS = {"string": '""', "bytes": '""', "bool": "false"}
# Not what a client or a group says to a broker: control records of KRaft and of transactions, a principal in an envelope.
FOREIGN = ("DefaultPrincipalData", "EndTxnMarker", "KRaftVersionRecord", "LeaderChangeMessage", "SnapshotFooterRecord",
           "SnapshotHeaderRecord", "VotersRecord")


def load_release(jars):
    messages = {}
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                if name.startswith("common/message/") and name.endswith(".json"):
                    text = archive.read(name).decode("utf-8").splitlines()
                    message = json.loads("\n".join(line for line in text if not line.lstrip().startswith("//")))
                    messages[message["name"]] = message
    return messages


def is_wanted(message):
    kind = message["type"]
    if kind == "request":
        return "broker" in message.get("listeners", [])
    return kind in ("header", "data", *RECORD_TYPES) and message["name"] not in FOREIGN


def within(versions, version):
    return versions is not None and versions[0] <= version <= versions[1]


def their_range(text):
    return None if text in (None, "", "none") else generate.parse_range(text)


def plain_default(type_name, is_struct, default):
    """One spelling for all that means the same."""
    if default is None or default == "":
        return "null" if type_name == "records" else DEFAULTS.get(type_name, "[]" if type_name.startswith("[]") else
                                                                  "{}" if is_struct else "0")
    default = str(default).lower() if isinstance(default, bool) else str(default)
    if type_name.startswith(("int", "uint")) and default != "null":
        return str(int(default, 0))
    return default


def definition_line(field, depth):
    """A field of Kafka's as a line of a definition file (generate.py has the grammar)."""
    words = [field["name"], field["type"], field.get("versions", "0+")]
    if field.get("nullableVersions"):
        words += ["nullable", field["nullableVersions"]]
    if "tag" in field:
        words += ["tag", str(field["tag"]), field["taggedVersions"]]
    if "default" in field:
        words += ["default", '""' if field["default"] == "" else str(field["default"]).replace("True", "true").replace(
            "False", "false")]
    words += [word for word, wanted in (("ignorable", field.get("ignorable")), ("key", field.get("mapKey")),
                                        ("never-compact", field.get("flexibleVersions") == "none")) if wanted]
    return "  " * depth + "  ".join(words)


def definition_lines(fields, depth):
    for field in fields:
        yield definition_line(field, depth)
        yield from definition_lines(field.get("fields", []), depth + 1)


def definition(theirs):
    """The text of a whole message that we lack."""
    opening = "record" if theirs["type"].startswith("coordinator") else "api"
    kind = theirs["type"].removeprefix("coordinator-")
    lines = [f"{opening} {theirs.get('apiKey', '?')}",
             f"{kind} {theirs['name']}  versions {theirs['validVersions']}  flexible {theirs['flexibleVersions']}",
             *definition_lines(theirs["fields"], 1)]
    for struct in theirs.get("commonStructs", []):
        lines += [f"struct {struct['name']}", *definition_lines(struct["fields"], 1)]
    return "\n    ".join(["", *lines])


def field_at(fields, shared, path):
    field = next(field for field in fields if field["name"] == path[0])
    if len(path) == 1:
        return field
    return field_at(field.get("fields") or shared[field["type"].removeprefix("[]")], shared, path[1:])


def their_rows(fields, shared, version, prefix=""):
    for field in fields:
        if not within(their_range(field.get("versions", field.get("taggedVersions", "0+"))), version):
            continue
        name, type_name = prefix + field["name"], field["type"]
        inner = field.get("fields") or shared.get(type_name.removeprefix("[]"))
        tagged = within(their_range(field.get("taggedVersions")), version)
        yield name, {
            "type": type_name, "nullable": within(their_range(field.get("nullableVersions")), version),
            "tag": field["tag"] if tagged else None, "ignorable": bool(field.get("ignorable")),
            "key": bool(field.get("mapKey")), "never-compact": field.get("flexibleVersions") == "none",
            "default": plain_default(type_name, inner is not None, field.get("default"))}
        if inner is not None:
            yield from their_rows(inner, shared, version, name + ".")


def our_rows(fields, version, prefix=""):
    for field in fields:
        if not within(field.versions, version):
            continue
        name, type_name = prefix + field.name, ("[]" if field.is_array else "") + field.type
        yield name, {
            "type": type_name, "nullable": within(field.nullable, version),
            "tag": field.tag if within(field.tagged, version) else None, "ignorable": field.ignorable,
            "key": field.key, "never-compact": field.never_compact,
            "default": plain_default(type_name, field.is_struct, field.default)}
        if field.is_struct:
            yield from our_rows(field.struct.fields, version, name + ".")


def compare_version(ours, theirs, version, our_version):
    """Yields (field, property, what)."""
    shared = {struct["name"]: struct["fields"] for struct in theirs.get("commonStructs", [])}
    left, right = list(our_rows(ours.fields, our_version)), list(their_rows(theirs["fields"], shared, version))
    names = [name for name, _ in left], [name for name, _ in right]
    for name in names[1]:
        if name not in names[0]:
            yield name, "missing", f"add '{definition_line(field_at(theirs['fields'], shared, name.split('.')), 0)}'"
    for name in names[0]:
        if name not in names[1]:
            yield name, "extra", "Kafka has no such field"
    if sorted(names[0]) == sorted(names[1]) and names[0] != names[1]:
        yield "-", "order", f"{names[1]}"
    for name, row in right:
        mine = dict(left).get(name, row)
        for key, value in row.items():
            if mine[key] != value:
                yield name, key, f"ours {mine[key]}, Kafka's {value}"


def compare_message(ours, theirs):
    versions = generate.parse_range(theirs["validVersions"])
    low, high = versions
    flexible = their_range(theirs["flexibleVersions"])
    if ours.kind == "key":  # before 4.0 a key's version was the type of its record; on the wire it is the same number
        yield from compare_version(ours, theirs, low, 0)
        return
    if low < ours.versions[0] or high > ours.versions[1]:
        yield "-", "versions", f"ours {generate.range_text(ours.versions)}, Kafka's {theirs['validVersions']}"
    for version in range(low, high + 1):
        if within(flexible, version) != within(ours.flexible, version):
            yield "-", "flexible", f"ours {generate.range_text(ours.flexible)}"
        yield from ((*found, version) for found in compare_version(ours, theirs, version, version))
    if ours.kind in ("request", "response") and theirs["apiKey"] != ours.api_key:
        yield "-", "apiKey", f"ours {ours.api_key}, Kafka's {theirs['apiKey']}"


def wanted_names(messages):
    names = {m["name"] for m in messages.values() if is_wanted(m)}
    return names | {name[:-len("Request")] + "Response" for name in names if name.endswith("Request")}


def read_explained(path):
    if path is None:
        return {}
    lines = [line.split(None, 4) for line in open(path, encoding="utf-8") if line.strip() and line[0] != "#"]
    return {tuple(words[:4]): 0 for words in lines}


def compare_release(release, jars, ours, explained):
    theirs = load_release(jars)
    differences, compared, versions = [], 0, 0
    for name in sorted(wanted_names(theirs)):
        if theirs[name]["validVersions"] == "none":
            continue
        if name not in ours:
            found = [("-", "message", "add" + definition(theirs[name]))]
        else:
            found = list(compare_message(ours[name], theirs[name]))
            low, high = generate.parse_range(theirs[name]["validVersions"])
            compared, versions = compared + 1, versions + high - low + 1
        grouped = {}
        for field, prop, what, *version in found:
            grouped.setdefault((field, prop, what), []).extend(map(str, version))
        for (field, prop, what), found_in in grouped.items():
            key = (release, name, field, prop)
            if key in explained:
                explained[key] += 1
            else:
                where = f" in v{','.join(found_in)}" if found_in else ""
                differences.append(f"{release} {name} {field} {prop}: {what}{where}")
    print("\n".join(differences + [f"Kafka {release}: {compared} messages, {versions} versions compared, "
                                   f"{len(differences)} differences"]))
    return len(differences), theirs


def check_coverage(ours, seen):
    """Every version of ours must be in one of the releases: nothing is invented."""
    wrong = 0
    for name, message in ours.items():
        have = {v for releases in seen if name in releases and releases[name]["validVersions"] != "none"
                for v in range(*(lambda r: (r[0], r[1] + 1))(generate.parse_range(releases[name]["validVersions"])))}
        missing = [v for v in range(message.versions[0], message.versions[1] + 1) if v not in have]
        if missing and message.kind != "key" and "StickyAssignorUserData" not in name:
            print(f"{name}: no release has version {', '.join(map(str, missing))}")
            wrong += 1
    return wrong


def main(arguments):
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 3
    path = None
    if arguments[0] == "--explained":
        path, arguments = arguments[1], arguments[2:]
    explained = read_explained(path)
    messages = []
    for name in sorted(os.listdir(generate.DEFINITIONS)):
        messages += generate.parse_file(os.path.join(generate.DEFINITIONS, name))
    for message in messages:
        generate.resolve(message)
    ours = {message.name: message for message in messages}
    wrong, seen = 0, []
    for argument in arguments:
        release, _, jars = argument.partition("=")
        count, theirs = compare_release(release, jars.split(","), ours, explained)
        wrong += count
        seen.append(theirs)
    if len(seen) > 2:
        wrong += check_coverage(ours, seen)
    for key, used in explained.items():
        if not used and key[0] in [argument.partition("=")[0] for argument in arguments]:
            print(f"{path}: explains nothing: {' '.join(key)}")
            wrong += 1
    print(f"{sum(map(bool, explained.values()))} explained, {wrong} left")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
