"""Makes proto/src/codec/plan_hot.c: for the plans of the messages that a group's members send all the time (and of those
that ci/bench codec measures), the steps of plans.py as straight code. The words it is written in stand in plan_read.h and
plan_write.h.
"""
import re

import generate

# Messages and the versions whose array elements are made straight, requests and responses. An element costs one or two
# thousand bytes of code; what comes once a message gains little, so that roots are made only of what comes most often.
# OffsetCommit 7 and Heartbeat 3 are what librdkafka sends.
HOT = {"Heartbeat": (3, 4), "JoinGroup": (9,), "SyncGroup": (5,), "OffsetCommit": (7, 8, 9, 10), "OffsetFetch": (9,),
       "ConsumerGroupHeartbeat": (1,), "Fetch": (13, 17), "Metadata": (12,)}

SIZES = {"BOOL": 1, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "UUID": 16}
LENGTH_SIZES = {"STRING": 2, "BYTES": 4, "ARRAY": 4, "LIST": 4}
NUMBERS = {1: "int8_t", 2: "int16_t", 4: "int32_t", 8: "int64_t"}

ROOTS = ("Heartbeat", "OffsetCommit")


def api_of(message):
    return re.sub("(Request|Response)$", "", message.name)


def is_hot(message, version):
    return version in HOT.get(api_of(message), ())


def is_root_hot(message):
    return api_of(message) in ROOTS


def wrapped(line):
    """The line, broken behind a comma where it is too long."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    lines = []
    while len(line) > 120:
        at = line.rfind(", ", 0, 119) + 1
        lines.append(line[:at])
        line = indent + line[at:].lstrip()
    return "\n".join(lines + [line])


def number(value):
    return f"INT64_C({value})" if abs(value) > 2**31 - 1 else str(value)


class Loops:
    """The two loops of one plan."""

    def __init__(self, plans, index, steps, checks, tagged):
        self.plans, self.index, self.checks, self.tagged = plans, index, checks, tagged
        self.structure = plans.plans[index][0]
        # The second step of a pair stands for itself.
        self.steps = [(op.split("_INT")[0] if op.startswith("INT") else op, offset, argument)
                      for op, offset, argument in steps]

    def least(self, steps):
        return sum(self.least_of(*step) for step in steps)

    def least_of(self, op, _, argument):
        if op in SIZES:
            return SIZES[op]
        if op in ("STRUCT", "POINTER_PRESENT"):
            return self.plans.plans[argument][1]
        if op in ("POINTER", "TAGS") or op.startswith("COMPACT_"):
            return 1
        return LENGTH_SIZES[op.removesuffix("_NULLABLE")]

    def own(self, offset):
        text = offset.removeprefix("0 + ")
        return re.sub(rf"offsetof\(struct {self.structure.c_name}, ([\w.]+)\)", r"OF(\1)", text)

    def body(self, put):
        """The lines of all steps; put: "PUT_" when writing."""
        lines = []
        for position, (op, offset, argument) in enumerate(self.steps):
            here, rest = self.own(offset), self.least(self.steps[position + 1:])
            if op in SIZES:
                lines.append(f"HOT_{put}{op}({here});")
            elif op == "TAGS":
                first = self.are_empty() if put else here
                lines.append(f"HOT_{put}TAGS({first}, {self.index});")
            else:
                lines += self.call(put, op, here, argument, rest)
        return lines

    def call(self, put, op, here, argument, rest):
        whole = "sink" if put else "d"
        verb = "write" if put else "read"
        member = f"in + {here}" if put else f"out + {here}"
        kind = op.removesuffix("_NULLABLE").removeprefix("COMPACT_")
        compact, nullable = (str(word in op).lower() for word in ("COMPACT", "NULLABLE"))
        if op in ("STRUCT", "POINTER", "POINTER_PRESENT"):
            tail = f"at, {member}" if op == "STRUCT" else f"at, {str(op == 'POINTER').lower()}, {member}"
            function = "embedded" if op == "STRUCT" else "pointer"
            return [f"HOT_{put}CALL({rest}, rj_plan_{verb}_{function}({whole}, &rj_plans[{argument}], {tail}));"]
        if kind == "ARRAY":
            element = self.plans.plans[argument]
            size = "" if put else f", sizeof(struct {element[0].c_name}), {element[1]}"
            return [f"HOT_{put}ARRAY({here}, {rest}, {compact}, {nullable}, {verb}_{argument}{size});"]
        if kind == "LIST":
            if argument == "OP_INT32":
                return [f"HOT_{put}CALL({rest}, hot_{put.lower()}int32_list({whole}, at, {compact}, {nullable}, {member}));"]
            return [f"HOT_{put}CALL({rest}, rj_plan_{verb}_list({whole}, {argument}, at, {compact}, {nullable}, {member}));"]
        size = 0 if "COMPACT" in op else LENGTH_SIZES[kind]
        longest = "STRING_LEN_MAX" if kind == "STRING" else "INT32_MAX"
        return [f"HOT_{put}VIEW({here}, {size}, {rest}, {longest}, {nullable});"]

    def defaults(self, version_fields, flexible):
        """Lines that set what the steps do not read."""
        lines = []
        for field in self.structure.fields:
            if field in version_fields:
                continue
            here = f"OF({field.c_name})"
            null = generate.default_row(field)[0] == "RJ_DEFAULT_NULL"
            if field.is_array:
                lines.append(f"HOT_AT(struct any_array, {here}) = (struct any_array){{NULL, {-1 if null else 0}}};")
            elif field.is_struct and field.nullable:
                lines.append(f"HOT_AT(void *, {here}) = NULL;")
            elif field.is_struct:
                lines.append(f"memset(out + {here}, 0, sizeof(struct {field.struct.c_name}));")
                lines += [self.set_line(*step) for step in self.plans.init_steps(field.struct, here)]
            elif field.type in ("string", "bytes", "records"):
                lines.append(f"HOT_AT(struct rj_bytes, {here}) = {'RJ_NULL_BYTES' if null else 'RJ_EMPTY_BYTES'};")
            elif field.type == "uuid":
                lines.append(f"memset(out + {here}, 0, 16);")
            else:
                lines.append(self.number_line(field, here))
        if self.plans.unknown_tags and not flexible:
            lines.append("HOT_AT(void *, OF(unknown_tags)) = NULL;")
        return lines

    def number_line(self, field, here):
        found = [step for step in self.plans.init_steps(self.structure) if step[1].endswith(f", {field.c_name})")]
        size = SIZES[{"uint16": "INT16", "uint32": "INT32", "float64": "INT64"}.get(field.type, field.type.upper())]
        return self.set_line(*found[0]) if found else f"HOT_AT({NUMBERS[size]}, {here}) = 0;"

    def set_line(self, op, offset, argument):
        here = self.own(offset)
        if op == "EMPTY":
            return f"HOT_AT(struct rj_bytes, {here}) = RJ_EMPTY_BYTES;"
        if op == "SET8_MAX":
            return f"HOT_AT(int64_t, {here}) = INT64_MAX;"
        return f"HOT_AT({NUMBERS[int(op[3])]}, {here}) = {number(argument)};"

    def holds(self, op, offset, argument):
        here = self.own(offset)
        if op == "CHECK_ROW":
            return f"rj_is_default(&rj_plans[{self.index}].rows->fields[{argument}], in + {here})"
        if op == "CHECK_NULL":
            return f"HOT_IS(void *, {here}, NULL)"
        if op in ("CHECK_ZERO16", "CHECK_EMPTY"):
            return f"{'hot_is_zero16' if op == 'CHECK_ZERO16' else 'hot_is_empty'}(in + {here})"
        if op == "CHECK8_MAX":
            return f"HOT_IS(int64_t, {here}, INT64_MAX)"
        return f"HOT_IS({NUMBERS[int(op[5])]}, {here}, {number(argument)})"

    def are_empty(self):
        return " &&\n                     ".join(self.holds(*step) for step in self.tagged)

    def text(self, version_fields, flexible):
        c_name, least = self.structure.c_name, self.least(self.steps)
        out = [f"/* {self.structure.kafka_name} */", f"#define OF(member) offsetof(struct {c_name}, member)",
               f"static const uint8_t *read_{self.index}(struct decoder *d, const uint8_t *at, char *out, int32_t count)",
               "{", f"    HOT_ELEMENTS(sizeof(struct {c_name}), {least})"]
        out += ["        " + line for line in self.defaults(version_fields, flexible) + self.body("")]
        out += ["    HOT_END", "}", "",
                f"static uint8_t *write_{self.index}(const struct sink *sink, uint8_t *at, const char *in, int32_t count)",
                "{", f"    HOT_PUT_ELEMENTS(sizeof(struct {c_name}), {least})"]
        out += [f"        HOT_CHECK({self.holds(*step)});" for step in self.checks]
        out += ["        " + line for line in self.body("PUT_")]
        out += ["    HOT_END", "}", "#undef OF", ""]
        return [wrapped(line) for lines in out for line in lines.split("\n")]


def hot_text(plans):
    out = ["/* Generated by proto/schema/generate.py from proto/schema/definitions. Do not edit. */",
           '#include "codec/plan_read.h"', '#include "codec/plan_write.h"', '#include "rejoin/messages.h"', "",
           "#include <stddef.h>", ""]
    for lines in plans.hot.values():
        out += lines
    for kind, name in (("read", "plan_reader"), ("write", "plan_writer")):
        out += [f"{name} *const rj_{name}s[] = {{", "    NULL,", *(f"    {kind}_{index}," for index in plans.hot), "};", ""]
    return "\n".join(out)
