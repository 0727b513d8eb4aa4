"""The schemas that a recording carries, so that a viewer understands it without our code.

Protobuf descriptors for sound and pictures, JSON Schema for our own records. Pure functions.

Foxglove's family of viewers reads only a part of JSON Schema and refuses the whole channel otherwise: plain objects,
lists of objects or scalars, and base64 strings; no `$ref`, `anyOf`, null, or lists of lists (`parseJsonSchema.ts` of
its published source). So references are resolved, alternatives merged into one object, and the rest left out. The
fields that a schema leaves out are still in the messages.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import msgspec
from google.protobuf.descriptor import FileDescriptor  # type: ignore[import-untyped]
from google.protobuf.descriptor_pb2 import FileDescriptorSet  # type: ignore[import-untyped]

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]

SCALARS = ("boolean", "integer", "number", "string")


def descriptor_set(file: FileDescriptor) -> bytes:
    """A serialized `FileDescriptorSet` of `file` and everything that it imports, imports first."""
    files: dict[str, FileDescriptor] = {}

    def add(descriptor: FileDescriptor) -> None:
        for dependency in descriptor.dependencies:
            add(dependency)
        files.setdefault(descriptor.name, descriptor)

    add(file)
    result = FileDescriptorSet()
    for descriptor in files.values():
        descriptor.CopyToProto(result.file.add())
    return cast(bytes, result.SerializeToString())


def viewer_schema(record: type[msgspec.Struct]) -> bytes:
    """The JSON Schema of `record`, cut down to what viewers understand."""
    schema = cast(JsonObject, msgspec.json.schema(record))
    definitions = cast(JsonObject, schema["$defs"])
    return msgspec.json.encode(_simplify(schema, definitions))


def _simplify(schema: JsonObject, definitions: JsonObject) -> JsonObject | None:
    """None where viewers have no way to say it."""
    if "$ref" in schema:
        name = cast(str, schema["$ref"]).rpartition("/")[2]
        return _simplify(cast(JsonObject, definitions[name]), definitions)
    if "anyOf" in schema:
        options = [_simplify(option, definitions) for option in cast(Sequence[JsonObject], schema["anyOf"])]
        return _merge([option for option in options if option is not None])
    if "enum" in schema:
        return {"type": "string"}
    kind = schema.get("type")
    if kind in SCALARS:
        return {key: schema[key] for key in ("type", "contentEncoding") if key in schema}
    if kind == "array":
        items = _simplify(cast(JsonObject, schema["items"]), definitions)
        return None if items is None or items["type"] == "array" else {"type": "array", "items": items}
    if kind == "object":
        fields = cast(Mapping[str, JsonObject], schema["properties"])
        simple = {name: _simplify(field, definitions) for name, field in fields.items()}
        return {"type": "object", "properties": {name: field for name, field in simple.items() if field is not None}}
    return None


def _merge(options: Sequence[JsonObject]) -> JsonObject | None:
    """One object with the fields of all alternatives; of scalars, the only one there is."""
    if options and all(option["type"] == "object" for option in options):
        merged: dict[str, Json] = {}
        for option in options:
            merged |= cast(JsonObject, option["properties"])
        return {"type": "object", "properties": merged}
    return options[0] if len(options) == 1 else None
