"""Validates a document against the part of JSON Schema that harness/schemas uses; refuses keywords that it does not know,
so that a schema cannot promise what is not checked."""
import re

IGNORED = {"$schema", "title", "description"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def errors(value, schema, path="$"):
    found = []
    for keyword, wanted in schema.items():
        if keyword in IGNORED:
            continue
        if keyword == "type":
            names = wanted if isinstance(wanted, list) else [wanted]
            if not any(is_type(value, name) for name in names):
                return [f"{path}: {value!r} is not of type {wanted}"]
        elif keyword == "enum":
            if value not in wanted:
                found.append(f"{path}: {value!r} is none of {wanted}")
        elif keyword == "required":
            found += [f"{path}: {name} is missing" for name in wanted if name not in value]
        elif keyword == "properties":
            for name, inner in wanted.items():
                if name in value:
                    found += errors(value[name], inner, f"{path}.{name}")
        elif keyword == "additionalProperties":
            for name in value.keys() - schema.get("properties", {}).keys():
                if wanted is False:
                    found.append(f"{path}: {name} is not in the schema")
                else:
                    found += errors(value[name], wanted, f"{path}.{name}")
        elif keyword == "propertyNames":
            for name in value:
                found += errors(name, wanted, f"{path} name {name}")
        elif keyword == "items":
            for index, item in enumerate(value):
                found += errors(item, wanted, f"{path}[{index}]")
        elif keyword == "minItems":
            if len(value) < wanted:
                found.append(f"{path}: {len(value)} items, at least {wanted} wanted")
        elif keyword == "maxItems":
            if len(value) > wanted:
                found.append(f"{path}: {len(value)} items, at most {wanted} wanted")
        elif keyword == "minimum":
            if value < wanted:
                found.append(f"{path}: {value} is below {wanted}")
        elif keyword == "minLength":
            if len(value) < wanted:
                found.append(f"{path}: {value!r} is too short")
        elif keyword == "pattern":
            if not re.search(wanted, value):
                found.append(f"{path}: {value!r} does not match {wanted}")
        else:
            raise ValueError(f"{path}: keyword {keyword} of the schema is not known here")
    return found
