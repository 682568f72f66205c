#!/usr/bin/env python3
"""Makes proto/include/rejoin/messages.h, proto/src/codec/schema_tables.c and plan_hot.c from definitions/*.schema.

The grammar of a definition file, one item a line, '#' starts a comment:

    api KEY | record KEY
    request|response|header|data|key|value NAME  versions RANGE  flexible RANGE|none
      FIELD  TYPE  RANGE  [nullable RANGE] [tag N RANGE] [default VALUE] [ignorable] [key] [view] [never-compact]
        FIELD ...                                  (fields of a structure, two blanks deeper)
    struct NAME                                    (a structure that several fields of the message above share)

RANGE is A, A-B or A+. TYPE is a primitive, bytes, records, string, uuid, a structure's name, or []TYPE.
Names are Kafka's own. Usage: generate.py [--check]  (--check: exit 1 if the committed files differ)
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DEFINITIONS = os.path.join(HERE, "definitions")
HEADER = os.path.join(HERE, "..", "include", "rejoin", "messages.h")
TABLES = os.path.join(HERE, "..", "src", "codec", "schema_tables.c")
HOT = os.path.join(HERE, "..", "src", "codec", "plan_hot.c")

OPEN = 32767
PRIMITIVES = {  # type -> (C type, C array type)
    "bool": ("bool", "rj_bool_array"), "int8": ("int8_t", "rj_int8_array"),
    "int16": ("int16_t", "rj_int16_array"), "uint16": ("uint16_t", "rj_uint16_array"),
    "int32": ("int32_t", "rj_int32_array"), "uint32": ("uint32_t", "rj_uint32_array"),
    "int64": ("int64_t", "rj_int64_array"), "float64": ("double", "rj_float64_array"),
    "string": ("struct rj_string", "rj_string_array"), "bytes": ("struct rj_bytes", "rj_bytes_array"),
    "records": ("struct rj_bytes", None), "uuid": ("struct rj_uuid", "rj_uuid_array"),
}


class DefinitionError(Exception):
    pass


def snake(name):
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


def parse_range(text):
    if text == "none":
        return None
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    if not match:
        raise DefinitionError(f"'{text}' is not a version range (expected A, A-B or A+)")
    low = int(match.group(1))
    return (low, OPEN if match.group(2) else int(match.group(3) or low))


class Field:
    def __init__(self, words):
        self.name, type_name, self.versions = words[0], words[1], parse_range(words[2])
        self.is_array = type_name.startswith("[]")
        self.type = type_name[2:] if self.is_array else type_name
        self.nullable = self.tagged = self.default = None
        self.tag = -1
        self.ignorable = self.key = self.view = self.never_compact = False
        self.fields = []
        rest = words[3:]
        while rest:
            word = rest.pop(0)
            if word == "nullable":
                self.nullable = parse_range(rest.pop(0))
            elif word == "tag":
                self.tag, self.tagged = int(rest.pop(0)), parse_range(rest.pop(0))
            elif word == "default":
                self.default = rest.pop(0)
            elif word in ("ignorable", "key", "view", "never-compact"):
                setattr(self, word.replace("-", "_"), True)
            else:
                raise DefinitionError(f"unknown word '{word}'")
        self.c_name = snake(self.name)
        self.struct = None  # the Structure of a field whose type is one

    @property
    def is_struct(self):
        return self.type not in PRIMITIVES


class Structure:
    def __init__(self, kafka_name, c_name):
        self.kafka_name, self.c_name, self.fields = kafka_name, c_name, []


class Message:
    def __init__(self, kind, name, versions, flexible):
        self.kind, self.name, self.versions, self.flexible = kind, name, versions, flexible
        self.api_key = -1
        self.fields, self.shared = [], {}
        self.structures = []  # inner ones first
        self.root = None


def parse_file(path):
    messages, key = [], -1
    stack = []  # (indent, list of fields)
    for number, raw in enumerate(open(path, encoding="utf-8"), 1):
        line = raw.split("#", 1)[0].rstrip()
        if not line.strip():
            continue
        words, indent = line.split(), len(line) - len(line.lstrip())
        try:
            if indent == 0 and words[0] in ("api", "record"):
                key = int(words[1])
            elif indent == 0 and words[0] == "struct":
                fields = messages[-1].shared.setdefault(words[1], [])
                stack = [(2, fields)]
            elif indent == 0:
                kind, name = words[0], words[1]
                if kind not in ("request", "response", "header", "data", "key", "value"):
                    raise DefinitionError(f"unknown kind '{kind}'")
                if words[2] != "versions" or words[4] != "flexible":
                    raise DefinitionError("expected: KIND NAME versions RANGE flexible RANGE|none")
                message = Message(kind, name, parse_range(words[3]), parse_range(words[5]))
                message.api_key = key
                messages.append(message)
                stack = [(2, message.fields)]
            else:
                while stack and indent < stack[-1][0]:
                    stack.pop()
                if not stack:
                    raise DefinitionError("a field outside a message")
                if indent > stack[-1][0]:
                    stack.append((indent, stack[-1][1][-1].fields))
                stack[-1][1].append(Field(words))
        except (DefinitionError, IndexError) as error:
            sys.exit(f"{path}:{number}: {error or 'too few words'}")
    return messages


def resolve(message):
    """Gives every structure its C name and puts inner structures before outer ones."""
    prefix = "rj_" + snake(message.name)
    done = {}

    def struct_c_name(kafka_name):
        own = snake(kafka_name)
        return "rj_" + own if own.startswith(snake(message.name)) else f"{prefix}_{own}"

    def build(kafka_name, fields, is_root=False):
        if kafka_name in done and not is_root:
            return done[kafka_name]
        structure = Structure(kafka_name, prefix if is_root else struct_c_name(kafka_name))
        if not is_root:
            done[kafka_name] = structure
        for field in fields:
            if field.is_struct:
                inner = field.fields or message.shared.get(field.type)
                if inner is None:
                    sys.exit(f"{message.name}.{field.name}: no structure {field.type}")
                field.struct = build(field.type, inner)
        structure.fields = fields
        message.structures.append(structure)
        return structure

    message.root = build(message.name, message.fields, is_root=True)


def c_member(field):
    if field.is_struct:
        if field.is_array:
            return f"struct {field.struct.c_name}_array {field.c_name}"
        if field.nullable:
            return f"struct {field.struct.c_name} *{field.c_name}"
        return f"struct {field.struct.c_name} {field.c_name}"
    c_type, c_array = PRIMITIVES[field.type]
    return f"struct {c_array} {field.c_name}" if field.is_array else f"{c_type} {field.c_name}"


def range_text(versions):
    if versions is None:
        return "none"
    low, high = versions
    return f"{low}+" if high == OPEN else (str(low) if low == high else f"{low}-{high}")


def member_note(field):
    note = range_text(field.versions)
    if field.nullable:
        note += f", null {range_text(field.nullable)}"
    if field.tagged:
        note += f", tag {field.tag}"
    if field.default is not None:
        note += f", default {field.default}"
    return note


def header_text(messages):
    out = ["/* Generated by proto/schema/generate.py from proto/schema/definitions. Do not edit.",
           " *",
           " * One structure a message, for all its versions; behind each member: the versions that carry it.",
           " * Members that a version does not carry hold their default after decoding and are left out when encoding.",
           " * rj_X_init() in codec.h terms: rj_message_init(&rj_X_schema, &x) sets every member to its default. */",
           "#ifndef REJOIN_MESSAGES_H", "#define REJOIN_MESSAGES_H", "",
           '#include "rejoin/schema.h"', ""]
    for message in messages:
        flexible = range_text(message.flexible)
        title = f"{message.name}, versions {range_text(message.versions)}, flexible {flexible}"
        if message.kind in ("request", "response"):
            title += f", API key {message.api_key}"
        out.append(f"/* {title} */")
        for structure in message.structures:
            out.append(f"struct {structure.c_name} {{")
            for field in structure.fields:
                out.append(f"    {c_member(field)}; /* {member_note(field)} */")
            if message.flexible:
                out.append("    struct rj_unknown_tags *unknown_tags; /* null: none */")
            out.append("};")
            if structure is not message.root:
                out.append(f"struct {structure.c_name}_array {{ struct {structure.c_name} *items; int32_t count; }};")
        out += [f"extern const struct rj_message_schema rj_{snake(message.name)}_schema;", ""]
    keys = sorted({m.api_key for m in messages if m.kind == "request"})
    out.append("enum rj_api_key {")
    for key in keys:
        name = next(m.name for m in messages if m.kind == "request" and m.api_key == key)[:-len("Request")]
        out.append(f"    RJ_API_{snake(name).upper()} = {key},")
    out += ["};", "", "#endif", ""]
    return "\n".join(out)


def default_row(field):
    """(kind, number) of a field's default."""
    value = field.default
    if value == "null":
        return "RJ_DEFAULT_NULL", "0"
    if value in (None, '""'):
        return "RJ_DEFAULT_ZERO", "0"
    if value in ("true", "false"):
        return "RJ_DEFAULT_NUMBER", "1" if value == "true" else "0"
    number = int(value, 0)
    return "RJ_DEFAULT_NUMBER", "INT64_MIN" if number == -2**63 else f"INT64_C({number})"


def versions_row(versions):
    return "{1, 0}" if versions is None else f"{{{versions[0]}, {versions[1]}}}"


def json_name(kafka_name):
    return kafka_name[0].lower() + kafka_name[1:]


def field_row(structure, field):
    kind, number = default_row(field)
    flags = [name for name, on in (("RJ_FIELD_ARRAY", field.is_array), ("RJ_FIELD_IGNORABLE", field.ignorable),
                                   ("RJ_FIELD_KEY", field.key), ("RJ_FIELD_NEVER_COMPACT", field.never_compact)) if on]
    element = f"&{field.struct.c_name}_rows" if field.is_struct else "NULL"
    kafka_type = "RJ_TYPE_STRUCT" if field.is_struct else f"RJ_TYPE_{field.type.upper()}"
    return (f'    {{"{json_name(field.name)}", "{field.c_name}", {element}, '
            f"offsetof(struct {structure.c_name}, {field.c_name}), {kafka_type}, {' | '.join(flags) or '0'}, "
            f"{versions_row(field.versions)}, {versions_row(field.nullable)}, {versions_row(field.tagged)}, "
            f"{field.tag}, {kind}, {number}}},")


def tables_text(messages, plan_tables, first_plans):
    out = ["/* Generated by proto/schema/generate.py from proto/schema/definitions. Do not edit. */",
           '#include "codec/plan.h"', '#include "rejoin/messages.h"', "", "#include <stddef.h>", ""]
    for message in messages:
        for structure in message.structures:
            out.append(f"static const struct rj_schema_field {structure.c_name}_fields[] = {{")
            out += [field_row(structure, field) for field in structure.fields] or ["    {0},"]
            tags = f"offsetof(struct {structure.c_name}, unknown_tags)" if message.flexible else "RJ_NO_UNKNOWN_TAGS"
            size = f"sizeof(struct {structure.c_name})" if structure.fields or message.flexible else "0"
            out += ["};",
                    f"static const struct rj_schema_struct {structure.c_name}_rows = {{",
                    f'    "{structure.kafka_name}", {structure.c_name}_fields, {len(structure.fields)}, {size}, {tags}}};']
        kind = "RJ_MESSAGE_" + message.kind.upper()
        flexible = message.flexible[0] if message.flexible else OPEN
        out += [f"const struct rj_message_schema rj_{snake(message.name)}_schema = {{",
                f'    "{message.name}", {kind}, {message.api_key}, {versions_row(message.versions)}, {flexible}, '
                f"&{message.root.c_name}_rows, {first_plans[message.name]}}};", ""]
    out.append("const struct rj_message_schema *const rj_all_schemas[] = {")
    out += [f"    &rj_{snake(message.name)}_schema," for message in messages]
    out += ["};", f"const int rj_all_schemas_count = {len(messages)};", ""]
    out.append("const struct rj_api_row rj_api_index[] = {")
    apis = {}
    for message in messages:
        if message.kind in ("request", "response"):
            apis.setdefault(message.api_key, {})[message.kind] = message
    for key, api in sorted(apis.items()):
        name = api["request"].name[:-len("Request")]
        out.append(f'    [{key}] = {{"{name}", &rj_{snake(api["request"].name)}_schema, '
                   f'&rj_{snake(api["response"].name)}_schema}},')
    out += ["};", "const int rj_api_index_count = (int)(sizeof(rj_api_index) / sizeof(rj_api_index[0]));", "", plan_tables]
    return "\n".join(out)


def main():
    messages = []
    for name in sorted(os.listdir(DEFINITIONS)):
        if name.endswith(".schema"):
            messages += parse_file(os.path.join(DEFINITIONS, name))
    for message in messages:
        resolve(message)
    import plans  # which needs this module
    plan_tables, first_plans, hot_text = plans.plan_text(messages)
    stale = False
    for path, text in ((HEADER, header_text(messages)), (TABLES, tables_text(messages, plan_tables, first_plans)),
                       (HOT, hot_text)):
        old = open(path, encoding="utf-8").read() if os.path.exists(path) else ""
        if "--check" in sys.argv:
            if old != text:
                print(f"{os.path.normpath(path)} is stale: run proto/schema/generate.py", file=sys.stderr)
                stale = True
        elif old != text:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            open(path, "w", encoding="utf-8").write(text)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.modules["generate"] = sys.modules["__main__"]
    sys.exit(main())
