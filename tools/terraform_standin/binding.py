"""A Terraform provider's schema, recovered from its CDKTF binding (npm tarball or PyPI wheel).

The generated JavaScript states for every resource, every data source and the provider itself: names of attributes,
their types on the wire, which nested things are blocks, of a list or a set, single or many, required or not, and what
is computed alone. That is all that Terraform's core asks a provider for. Not in it: Optional+Computed (guessed by
name), ForceNew, ConflictsWith and validation functions; but doc comments name the allowed values of 889 arguments,
which are kept.
"""

import io
import re
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tools.terraform_standin.schema import Attribute, Block, BlockType, Schema, Type

__all__ = ["recovered"]

_KIND = re.compile(r"terraformResourceType: '(\w+)'")
_CLASS = re.compile(r"^class (\w+) extends cdktf\.(\w+) \{$(.*?)^\}$", re.S | re.M)
_TO_HCL = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{$(.*?)^\}$", re.S | re.M)
_ARGUMENT = re.compile(
    r'^ {8,12}(\w+): \{\s+value: .*?,\s+isBlock: (true|false),\s+type: "(\w+)",\s+storageClassType: "(\w+)",\s+\}',
    re.S | re.M,
)
_SYNTHESIS = re.compile(r"synthesizeHclAttributes\(\) \{(.*)", re.S)
_MEMBER = re.compile(r'^\s+this\._(\w+) = new (\w+\.)?(\w+)\(this, "(\w+)"(?:, (true|false))?\);', re.M)
_COMPUTED = re.compile(r"// (\w+) - computed: true, optional: false, required: false")
_RESET = re.compile(r"^    reset(\w+)\(\)", re.M)
_GETTER = re.compile(r"(cdktf\.Fn\.tolist\()?this\.get(\w+)Attribute\('(\w+)'\)")
_DOC = re.compile(
    r"/\*\*((?:(?!\*/).)*?)\{@link https://registry\.terraform\.io/providers/[^ ]*#(\w+) (\w+)#\w+\}\s*\*/"
    r"\s*readonly (\w+)",
    re.S,
)
_INTERFACE = re.compile(r"^export interface (\w+)(?: extends [\w.]+)? \{$(.*?)^\}$", re.S | re.M)
_VALUES = re.compile(r"Possible values: \[(.*?)\]", re.S)
_VALUE = re.compile(r"[A-Za-z0-9_.\- ]+")
_VERSION = re.compile(r"providerVersion: '([\d.]+)'")

_SCALAR = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
_GOTTEN: dict[str, Type] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "dynamic"],
}
_HELD: dict[str, Type] = {
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "string"],
    "StringMapList": ["list", ["map", "string"]],
    "NumberMapList": ["list", ["map", "number"]],
    "AnyMapList": ["list", ["map", "dynamic"]],
    "BooleanMapList": ["list", ["map", "bool"]],
}
OPTIONAL_AND_COMPUTED = {
    *("id", "project", "location", "region", "zone", "etag", "fingerprint", "self_link", "labels_fingerprint")
}
"""What providers usually fill in where it is not given; the binding does not say of which."""


def recovered(package: Path) -> Schema:
    """The schema of the provider that `package` (`.tgz` of npm, `.whl` of PyPI) binds. Raises ValueError."""
    scripts: dict[str, str] = defaultdict(str)
    types: dict[str, str] = defaultdict(str)
    for folder, name, text in _files(package):
        (scripts if name.endswith(".js") else types)[folder] += text
    schema = Schema("0.0.0", Block(), {}, {})
    for folder in sorted(scripts):
        unit = _Unit(scripts[folder], types[folder])
        base, block = unit.block()
        if base == "TerraformProvider":
            del block.attributes["alias"]
            found = _VERSION.search(scripts[folder])
            schema = Schema(found[1] if found else "0.0.0", block, schema.resources, schema.data_sources)
        elif unit.kind is not None and base:
            (schema.resources if base == "TerraformResource" else schema.data_sources)[unit.kind] = block
    if not schema.resources:
        raise ValueError(f"{package.name} holds no binding of a provider")
    return schema


def _files(package: Path) -> Iterator[tuple[str, str, str]]:
    """(folder below `lib/`, file, text) of the binding's `.js` and `.d.ts`."""
    source: IO[bytes]
    if package.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(package) as archive:
            [inner] = [name for name in archive.namelist() if name.endswith(".jsii.tgz")]
            source = io.BytesIO(archive.read(inner))
    else:
        source = io.BytesIO(package.read_bytes())
    with tarfile.open(fileobj=source, mode="r:gz") as tar:
        for member in tar:
            name = member.name
            if member.isfile() and name.startswith("package/lib/") and name.endswith((".js", ".d.ts")):
                content = tar.extractfile(member)
                assert content is not None
                yield name.split("/")[2], name, content.read().decode()


class _Unit:
    """One folder of the binding: a resource, a data source or the provider."""

    def __init__(self, script: str, types: str) -> None:
        self._classes = {found[1]: (found[2], found[3]) for found in _CLASS.finditer(script)}
        self._arguments = {found[1]: found[2] for found in _TO_HCL.finditer(script)}
        self._allowed = dict(_allowed(types))
        kind = _KIND.search(script)
        self.kind = kind[1] if kind else None

    def block(self) -> tuple[str, Block]:
        """What the unit is (`TerraformResource` …; empty: none of them), and its block."""
        for name, (base, body) in self._classes.items():
            if base in ("TerraformResource", "TerraformDataSource", "TerraformProvider"):
                written = _SYNTHESIS.search(body)
                return base, self._block(body, written[1] if written else "", f"{name}Config")
        return "", Block()

    def _block(self, body: str, written: str, interface: str) -> Block:
        block = Block()
        optional_names = {name.lower() for name in _RESET.findall(body)}
        members = {found[4]: found[3] for found in _MEMBER.finditer(body)}
        for found in _ARGUMENT.finditer(written):
            name, kind, storage = found[1], found[3], found[4]
            optional = name.replace("_", "") in optional_names
            wire = _wire(kind, storage)
            if found[2] == "true" and wire is None:
                base = storage[:-4] if kind != "struct" and storage.endswith("List") else storage
                nested, single = self._nested(base), not members.get(name, "").endswith("List")
                if kind == "struct":
                    block.blocks[name] = BlockType("single", nested)
                    continue
                mode = kind if kind in ("list", "set") else "list"
                block.blocks[name] = BlockType(mode, nested, 0 if optional else 1, 1 if single else 0)
                continue
            block.attributes[name] = Attribute(
                wire or "dynamic",
                required=not optional,
                optional=optional,
                computed=optional and name in OPTIONAL_AND_COMPUTED,
                allowed=self._allowed.get((interface, name), ()),
            )
        for name, wire in self._computed(body).items():
            if name not in block.attributes and name not in block.blocks:
                block.attributes[name] = Attribute(wire, computed=True)
        return block

    def _nested(self, base: str) -> Block:
        _, body = self._classes.get(f"{base}OutputReference", ("", ""))
        return self._block(body, self._arguments.get(base[:1].lower() + base[1:], ""), base)

    def _computed(self, body: str) -> dict[str, Type]:
        result: dict[str, Type] = {}
        members = {found[4]: (found[2], found[3], found[5] == "true") for found in _MEMBER.finditer(body)}
        for name in _COMPUTED.findall(body):
            if name not in members:
                continue
            library, held, is_set = members[name]
            if library == "cdktf.":
                result[name] = _HELD.get(held, "dynamic")
                continue
            kind = "map" if held.endswith("Map") else "set" if is_set else "list"
            _, inner = self._classes.get(re.sub(r"(List|Map|OutputReference)$", "", held) + "OutputReference", ("", ""))
            result[name] = [kind, ["object", self._computed(inner)]]
        for found in _GETTER.finditer(body):
            name = found[3]
            if name in result or f"// {name} - computed: true, optional: false, required: false" not in body:
                continue
            wire = _GOTTEN.get(found[2], "dynamic")
            result[name] = ["set", wire[1]] if found[1] and isinstance(wire, list) else wire
        return result


def _allowed(types: str) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    """(interface, argument) → the values that its comment allows."""
    for interface in _INTERFACE.finditer(types):
        for doc in _DOC.finditer(interface[2]):
            listed = _VALUES.search(re.sub(r"\s*\n\s*\* ?", " ", doc[1]))
            values = [value.strip().strip('"\\') for value in listed[1].split(",")] if listed else []
            if values and all(_VALUE.fullmatch(value) for value in values):
                yield (interface[1], doc[2]), tuple(values)


def _wire(kind: str, storage: str) -> Type | None:
    """The type on the wire of what is no block; None for a block."""
    if kind == "simple":
        return _SCALAR.get(storage, "dynamic")
    found = re.fullmatch(r"(string|number|boolean|any)(List|Map|Set)?(List)?", storage)
    if found is None:
        return None
    element: Type = _SCALAR[found[1]]
    if found[3]:
        element = ["map" if found[2] == "Map" else "list", element]
    return [{"list": "list", "set": "set", "map": "map"}[kind], element]
