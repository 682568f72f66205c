"""Makes the plans in proto/src/codec/schema_tables.c: for every structure and version the rows that apply, in order, as
short steps. The tight loops of plan_decode.c and plan_encode.c follow them; nothing is said here that the rows do not say.
"""
import generate
import hot

SCALARS = {"bool": ("BOOL", 1), "int8": ("INT8", 1), "int16": ("INT16", 2), "uint16": ("INT16", 2),
           "int32": ("INT32", 4), "uint32": ("INT32", 4), "int64": ("INT64", 8), "float64": ("INT64", 8),
           "uuid": ("UUID", 16)}
STEPS_INSTEAD_OF_COPY = 4
# Neighbours that one turn of the loop does.
PAIRS = ("INT32_INT64", "INT32_INT32", "INT64_INT64", "INT16_INT32", "INT32_INT16")
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
        self.hot = {}  # lines of plan_hot.c by plan
        self.is_hot, self.cold = False, []  # whether the version at hand is made straight, and what of it is not
        self.unknown_tags = False  # whether the structures of the message at hand keep any

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
            total, position = sum(size for _, _, size in fixed), 0
            while position < len(fixed):
                pair = "_".join(op for op, _, _ in fixed[position:position + 2])
                count = 2 if pair in PAIRS else 1
                steps.append((pair if count == 2 else fixed[position][0], fixed[position][1], 0 if position else total))
                if count == 2:
                    steps.append((fixed[position + 1][0], fixed[position + 1][1], 0))
                position += count
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
            steps.append(("TAGS_WALK" if made else "TAGS", f"offsetof(struct {structure.c_name}, unknown_tags)",
                          int(len(self.tagged_steps(structure, version)) == 1)))
            least += 1
        return steps, least

    def zero_steps(self, field, here):
        """What makes a member that is zero in memory; the member before it is not known."""
        if field.is_array:
            return [("SET_NULL", here, 0), ("SET4", f"{here} + (uint16_t)offsetof(struct rj_bytes, len)", 0)]
        if field.is_struct:
            return [("SET_NULL", here, 0)]
        if field.type in VIEWS: # its length too: whoever adds up lengths does not ask for null first
            return [("NULL_VIEW", here, 0)]
        size = SCALARS[field.type][1]
        return [(f"SET{size}" if size < 16 else "SET_ZERO16", here, 0)]

    def absent_steps(self, structure, version, flexible, offset="0"):
        """Defaults of all that the steps of this version do not read. None: too many, copying a structure of
        defaults takes less time."""
        steps = []
        for field in structure.fields:
            if offset == "0" and within(field.versions, version) and not (
                    field.tag >= 0 and within(field.tagged, version)):
                continue
            here = f"{offset} + offsetof(struct {structure.c_name}, {field.c_name})"
            if field.is_struct and not field.is_array and not field.nullable:
                return None
            found = [step for step in self.init_steps(structure, offset) if step[1] == here]
            steps += found if found and not field.is_array else self.zero_steps(field, here)
            if field.is_array and generate.default_row(field)[0] == "RJ_DEFAULT_NULL":
                steps[-1] = (*steps[-1][:2], -1)
        if self.unknown_tags and not flexible:
            steps.append(("SET_NULL", f"offsetof(struct {structure.c_name}, unknown_tags)", 0))
        return steps if len(steps) <= STEPS_INSTEAD_OF_COPY else None

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

    def default_checks(self, structure, field, offset, unknown_tags):
        """Steps that pass where the member holds its default; offset: of the structure that it stands in."""
        member = f"offsetof(struct {structure.c_name}, {field.c_name}"
        kind, number = generate.default_row(field)
        null = kind == "RJ_DEFAULT_NULL"
        if field.is_array:
            return [("CHECK4", f"{offset} + {member}.count)", -1 if null else 0)]
        if field.is_struct and field.nullable:
            return [("CHECK_NULL", f"{offset} + {member})", 0)] if null else self.rows_check(structure, field, offset)
        if field.is_struct:
            return self.struct_checks(field.struct, f"{offset} + {member})", unknown_tags)
        if field.type in VIEWS:
            return [("CHECK_NULL" if null else "CHECK_EMPTY", f"{offset} + {member})", 0)]
        if field.type == "uuid":
            return [("CHECK_ZERO16", f"{offset} + {member})", 0)]
        if field.type == "float64":
            return self.rows_check(structure, field, offset)
        value = int(number.removeprefix("INT64_C(").rstrip(")")) if number != "INT64_MIN" else -2**63
        if value == 2**63 - 1:
            return [("CHECK8_MAX", f"{offset} + {member})", 0)]
        return [(f"CHECK{SCALARS[field.type][1]}", f"{offset} + {member})", value)]

    def struct_checks(self, structure, offset, unknown_tags):
        steps = [step for field in structure.fields
                 for step in self.default_checks(structure, field, offset, unknown_tags)]
        if unknown_tags:
            steps.append(("CHECK_NULL", f"{offset} + offsetof(struct {structure.c_name}, unknown_tags)", 0))
        return steps

    @staticmethod
    def rows_check(structure, field, offset):
        assert offset == "0", f"{structure.kafka_name}.{field.name} is too deep for a check by its row"
        return [("CHECK_ROW", f"offsetof(struct {structure.c_name}, {field.c_name})", structure.fields.index(field))]

    def check_steps(self, structure, version):
        """Fields that this version cannot carry and that must therefore hold their default."""
        return [step for field in structure.fields if not within(field.versions, version) and not field.ignorable
                for step in self.default_checks(structure, field, "0", self.unknown_tags)]

    def tagged_steps(self, structure, version):
        """What must hold for the section of tagged fields to be empty."""
        steps = [step for field in structure.fields
                 if field.tag >= 0 and within(field.tagged, version) and within(field.versions, version)
                 for step in self.default_checks(structure, field, "0", self.unknown_tags)]
        return steps + [("CHECK_NULL", f"offsetof(struct {structure.c_name}, unknown_tags)", 0)]

    def plan(self, structure, version, flexible):
        read, least = self.read_steps(structure, version, flexible)
        init, check = self.init_steps(structure), self.check_steps(structure, version)
        tagged = self.tagged_steps(structure, version) if flexible else []
        key = (structure.c_name, tuple(read), tuple(check), tuple(tagged))
        if key not in self.known:
            self.known[key] = len(self.plans)
            absent = self.absent_steps(structure, version, flexible)
            write = self.add(check + read)
            start = self.add(absent + read) if absent else write + len(check)
            self.plans.append((structure, least, [self.add(init), self.add(tagged), write, start, int(absent is None)]))
        index = self.known[key]
        if self.is_hot and structure not in self.cold and index not in self.hot:
            own = [field for field in structure.fields if within(field.versions, version) and not (
                field.tag >= 0 and within(field.tagged, version))]
            self.hot[index] = hot.Loops(self, index, read, check, tagged).text(own, flexible)
        return index

    def add(self, steps):
        key = ("steps", tuple(steps))
        if key not in self.known:
            self.known[key] = sum(len(run) + 1 for run in self.steps)
            self.steps.append(steps)
        return self.known[key]

    def message(self, message):
        low, high = message.versions
        self.unknown_tags = message.flexible is not None
        self.of_message[message.name] = []
        for version in range(low, high + 1):
            self.is_hot, self.cold = hot.is_hot(message, version), [] if hot.is_root_hot(message) else [message.root]
            self.of_message[message.name].append(self.plan(message.root, version, within(message.flexible, version)))


def plan_row(structure, least, starts, hot_at):
    if hot_at:
        starts = [*starts[:-1], 0]  # such loops set all defaults themselves
    return (f"    {{&{structure.c_name}_rows, sizeof(struct {structure.c_name}), {least}, "
            f"{', '.join(map(str, starts))}, {hot_at}}},")


def plan_text(messages):
    plans = Plans()
    for message in messages:
        plans.message(message)
    out = ["/* Steps of every structure and version: initialise, check, read or write. Equal ones are kept once. */",
           "const struct plan_step rj_plan_steps[] = {"]
    for run in plans.steps:
        out += [f"    {{OP_{op}, {offset}, {argument}}}," for op, offset, argument in run]
        out.append("    {OP_END, 0, 0},")
    out += ["};", "", "const struct plan rj_plans[] = {"]
    hot_at = {index: position for position, index in enumerate(plans.hot, 1)}
    out += [plan_row(*plan, hot_at.get(index, 0)) for index, plan in enumerate(plans.plans)]
    out += ["};", "", "/* Plans of each message, its lowest version first. */", "const uint16_t rj_plans_of_versions[] = {"]
    starts, count = {}, 0
    for message in messages:
        numbers = plans.of_message[message.name]
        starts[message.name] = count
        count += len(numbers)
        out.append("    " + ", ".join(map(str, numbers)) + f", /* {message.name} */")
    out += ["};", ""]
    return "\n".join(out), starts, hot.hot_text(plans)
