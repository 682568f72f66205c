"""Makes proto/src/codec/plan_tables.c: for every structure and version the rows of schema_tables.c that apply, in order, as
short steps. The tight loops of plan_decode.c and plan_encode.c follow them; nothing is said here that the rows do not say.
"""
import generate

SCALARS = {"bool": ("BOOL", 1), "int8": ("INT8", 1), "int16": ("INT16", 2), "uint16": ("INT16", 2),
           "int32": ("INT32", 4), "uint32": ("INT32", 4), "int64": ("INT64", 8), "float64": ("INT64", 8),
           "uuid": ("UUID", 16)}
VIEWS = ("string", "bytes", "records")


def within(versions, version):
    return versions is not None and versions[0] <= version <= versions[1]


def view_op(field, version, flexible, is_element=False):
    compact = flexible and not field.never_compact
    kind = "STRING" if field.type == "string" else "BYTES"
    nullable = within(field.nullable, version) and not is_element
    return ("COMPACT_" if compact else "") + kind + ("_NULLABLE" if nullable else "")


def view_min(field, flexible):
    return 1 if flexible and not field.never_compact else 2 if field.type == "string" else 4


class Plans:
    """Equal plans are kept once."""

    def __init__(self):
        self.steps, self.plans, self.known, self.of_message = [], [], {}, {}

    def element(self, field, version, flexible):
        """What a step of the array needs to know of its elements: their plan, or how one is read."""
        if field.is_struct:
            index = self.plan(field.struct, version, flexible)
            assert self.plans[index][1] > 0, f"elements of {field.name} take no bytes: no input bounds their number"
            return index
        if field.type in VIEWS:
            return "OP_" + view_op(field, version, flexible, True)
        return "OP_" + SCALARS[field.type][0]

    def read_steps(self, structure, version, flexible):
        """The steps that read or write, and the least bytes that they take."""
        steps, least, fixed = [], 0, []

        def flush():
            if fixed:
                steps.append(("NEED", "0", sum(size for _, _, size in fixed)))
                steps.extend((op, offset, 0) for op, offset, _ in fixed)
                fixed.clear()

        for field in structure.fields:
            if not within(field.versions, version) or (field.tag >= 0 and within(field.tagged, version)):
                continue
            offset = f"offsetof(struct {structure.c_name}, {field.c_name})"
            nullable = within(field.nullable, version)
            if field.type in SCALARS and not field.is_array:
                op, size = SCALARS[field.type]
                fixed.append((op, offset, size))
                least += size
                continue
            flush()
            if field.is_array:
                prefix = ("COMPACT_" if flexible else "") + ("ARRAY" if field.is_struct else "LIST")
                steps.append((prefix + ("_NULLABLE" if nullable else ""), offset,
                              self.element(field, version, flexible)))
                least += 1 if flexible else 4
            elif field.is_struct:
                index = self.plan(field.struct, version, flexible)
                steps.append(("POINTER" if nullable else "POINTER_PRESENT" if field.nullable else "STRUCT", offset, index))
                least += 1 if nullable else self.plans[index][1]
            else:
                steps.append((view_op(field, version, flexible), offset, 0))
                least += view_min(field, flexible)
        flush()
        if flexible:
            # A tagged structure whose default is not null must be made even where no tag comes.
            made = any(f.tag >= 0 and f.is_struct and f.nullable and not f.is_array and f.default != "null"
                       for f in structure.fields)
            steps.append(("TAGS_WALK" if made else "TAGS", f"offsetof(struct {structure.c_name}, unknown_tags)", 0))
            least += 1
        return steps, least

    def init_steps(self, structure, offset="0"):
        """What is not zero in a structure of defaults."""
        steps = []
        for field in structure.fields:
            here = f"{offset} + offsetof(struct {structure.c_name}, {field.c_name})"
            kind, number = generate.default_row(field)
            if field.is_array:
                if kind == "RJ_DEFAULT_NULL":
                    member = f"offsetof(struct {structure.c_name}, {field.c_name}.count)"
                    steps.append(("SET4", f"{offset} + {member}", -1))
            elif field.is_struct:
                if not field.nullable:
                    steps += self.init_steps(field.struct, here)
            elif field.type in VIEWS:
                if kind != "RJ_DEFAULT_NULL":
                    steps.append(("EMPTY", here, 0))
            elif kind == "RJ_DEFAULT_NUMBER":
                value = -2**63 if number == "INT64_MIN" else int(number.removeprefix("INT64_C(").rstrip(")"))
                size = SCALARS[field.type][1]
                if value == 2**63 - 1:
                    steps.append(("SET8_MAX", here, 0))
                elif value:
                    steps.append((f"SET{size}", here, value))
        return steps

    def check_steps(self, structure, version):
        """Fields that this version cannot carry and that must therefore hold their default."""
        return [("CHECK", f"offsetof(struct {structure.c_name}, {field.c_name})", index)
                for index, field in enumerate(structure.fields)
                if not within(field.versions, version) and not field.ignorable]

    def plan(self, structure, version, flexible):
        read, least = self.read_steps(structure, version, flexible)
        tagged = any(f.tag >= 0 and within(f.tagged, version) and within(f.versions, version) for f in structure.fields)
        init, check = self.init_steps(structure), self.check_steps(structure, version)
        key = (structure.c_name, tuple(read), tuple(check), tagged)
        if key not in self.known:
            self.known[key] = len(self.plans)
            starts = []
            for steps in (init, check, read):
                starts.append(self.add(structure, steps))
            self.plans.append((structure, least, starts, tagged))
        return self.known[key]

    def add(self, structure, steps):
        key = ("steps", tuple(steps))
        if key not in self.known:
            self.known[key] = sum(len(run) + 1 for run in self.steps)
            self.steps.append(steps)
        return self.known[key]

    def message(self, message):
        low, high = message.versions
        self.of_message[message.name] = [
            self.plan(message.root, version, within(message.flexible, version)) for version in range(low, high + 1)]


def plan_row(structure, least, starts, tagged):
    size = f"sizeof(struct {structure.c_name})"
    return (f"    {{&{structure.c_name}_rows, {size}, {least}, {starts[0]}, {starts[1]}, {starts[2]}, "
            f"{'true' if tagged else 'false'}}},")


def plan_text(messages):
    plans = Plans()
    for message in messages:
        plans.message(message)
    out = ["/* Steps of every structure and version: initialise, check, read or write. Equal ones are kept once. */",
           "const struct plan_step plan_steps[] = {"]
    for run in plans.steps:
        out += [f"    {{OP_{op}, {offset}, {argument}}}," for op, offset, argument in run]
        out.append("    {OP_END, 0, 0},")
    out += ["};", "", "const struct plan plans[] = {"]
    out += [plan_row(*plan) for plan in plans.plans]
    out += ["};", "", "/* Plans of each message, its lowest version first. */", "const uint16_t plans_of_versions[] = {"]
    starts, count = {}, 0
    for message in messages:
        numbers = plans.of_message[message.name]
        starts[message.name] = count
        count += len(numbers)
        out.append("    " + ", ".join(map(str, numbers)) + f", /* {message.name} */")
    out += ["};", ""]
    return "\n".join(out), starts
