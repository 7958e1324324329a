"""The stand-in by itself: a schema from a binding, values that are made up, and where it may not be had."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tools.terraform_standin import cache
from tools.terraform_standin.binding import recovered
from tools.terraform_standin.hcl import faults, parsed
from tools.terraform_standin.messages import message
from tools.terraform_standin.provider import Provider
from tools.terraform_standin.schema import Attribute, Block, BlockType, Schema, read, write
from tools.terraform_standin.values import UNKNOWN, decode, encode, filled, made_up

SCRIPT = """
class LampA extends cdktf.TerraformResource {
    constructor(scope, id, config) {
        super(scope, id, {
            terraformResourceType: 'google_lamp',
        });
        this._shade = new LampShadeOutputReference(this, "shade");
    }
    // brightness - computed: false, optional: true, required: false
    resetBrightness() {
    }
    // serial - computed: true, optional: false, required: false
    get serial() {
        return this.getStringAttribute('serial');
    }
    resetShade() {
    }
    synthesizeHclAttributes() {
        const attrs = {
            name: {
                value: cdktf.stringToHclTerraform(this._name),
                isBlock: false,
                type: "simple",
                storageClassType: "string",
            },
            brightness: {
                value: cdktf.stringToHclTerraform(this._brightness),
                isBlock: false,
                type: "simple",
                storageClassType: "string",
            },
            shade: {
                value: lampShadeToHclTerraform(this._shade.internalValue),
                isBlock: true,
                type: "list",
                storageClassType: "LampShadeList",
            },
        };
    }
}
function lampShadeToHclTerraform(struct) {
    const attrs = {
        colours: {
            value: cdktf.listMapperHcl(cdktf.stringToHclTerraform, false)(struct.colours),
            isBlock: false,
            type: "list",
            storageClassType: "stringList",
        },
    };
}
class LampShadeOutputReference extends cdktf.ComplexObject {
}
"""
TYPES = """
export interface LampAConfig extends cdktf.TerraformMetaArguments {
    /**
    * How bright. Possible values: ["DIM", "BRIGHT"]
    *
    * Docs at Terraform Registry: {@link https://registry.terraform.io/providers/x#brightness LampA#brightness}
    */
    readonly brightness?: string;
}
"""
PROVIDER = """
class GoogleProvider extends cdktf.TerraformProvider {
    constructor() {
        providerVersion: '1.2.3',
    }
    resetAlias() {
    }
    synthesizeHclAttributes() {
        const attrs = {
            alias: {
                value: cdktf.stringToHclTerraform(this._alias),
                isBlock: false,
                type: "simple",
                storageClassType: "string",
            },
        };
    }
}
"""
LAMP = Block(
    {
        "name": Attribute("string", required=True),
        "brightness": Attribute("string", optional=True, allowed=("DIM", "BRIGHT")),
        "serial": Attribute("string", computed=True),
    },
    {"shade": BlockType("list", Block({"colours": Attribute(["list", "string"], required=True)}), least=0, most=1)},
)
LAMPS = Schema("1.2.3", Block(), {"google_lamp": LAMP}, {})


def package(folder: Path, **files: str) -> Path:
    """A tarball as npm has it: `package/lib/<unit>/index.js` and `.d.ts`."""
    path = folder / "binding.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            unit, _, kind = name.partition("__")
            entry = tarfile.TarInfo(f"package/lib/{unit}/index.{kind.replace('_', '.')}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_a_schema_is_recovered_from_a_binding(tmp_path: Path) -> None:
    found = recovered(package(tmp_path, lamp__js=SCRIPT, lamp__d_ts=TYPES, provider__js=PROVIDER))
    assert found == LAMPS


def test_a_package_that_binds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no binding of a provider"):
        recovered(package(tmp_path, readme__js="// nothing"))


def test_a_schema_is_read_as_it_was_written(tmp_path: Path) -> None:
    write(LAMPS, tmp_path / "schema.gz")
    assert read(tmp_path / "schema.gz") == LAMPS


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    write(LAMPS, tmp_path / "schema.gz")
    return Provider(tmp_path / "schema.gz")


def planned(provider: Provider, before: Any, proposed: Any) -> Any:
    asked = message("PlanRequest")(type_name="google_lamp", prior_state=encode(before))
    asked.proposed_new_state.CopyFrom(encode(proposed))
    return provider.PlanResourceChange(asked)


def test_what_only_the_cloud_knows_is_unknown_in_a_plan_and_made_up_when_applied(provider: Provider) -> None:
    plan = planned(provider, None, {"name": "l", "brightness": None, "serial": None, "shade": []})
    assert decode(plan.planned_state)["serial"] == UNKNOWN
    asked = message("ApplyRequest")(type_name="google_lamp", planned_state=plan.planned_state)
    state = decode(provider.ApplyResourceChange(asked).new_state)
    assert state == {"name": "l", "brightness": None, "serial": "standin-google_lamp-l-serial", "shade": []}


def test_another_name_is_another_resource_and_another_brightness_is_not(provider: Provider) -> None:
    state = {"name": "l", "brightness": "DIM", "serial": "1", "shade": []}
    renamed = planned(provider, state, {**state, "name": "m"})
    assert [path.steps[0].attribute_name for path in renamed.requires_replace] == ["name"]
    assert list(planned(provider, state, {**state, "brightness": "BRIGHT"}).requires_replace) == []


@pytest.mark.parametrize(
    ("brightness", "expected"),
    [
        pytest.param("DIM", [], id="allowed"),
        pytest.param(None, [], id="not-given"),
        pytest.param("GLARING", ['"GLARING" is none of DIM, BRIGHT.'], id="not-allowed"),
    ],
)
def test_a_value_is_one_of_those_that_the_documentation_names(
    provider: Provider, brightness: str | None, expected: list[str]
) -> None:
    config = encode({"name": "l", "brightness": brightness, "shade": []})
    asked = message("TypeRequest")(type_name="google_lamp", config=config)
    found = provider.ValidateResourceTypeConfig(asked).diagnostics
    assert [one.detail for one in found] == expected
    assert all(one.attribute.steps[0].attribute_name == "brightness" for one in found)


def test_answers_are_made_of_arguments() -> None:
    block = Block({name: Attribute("string", computed=True) for name in ("email", "member", "project")})
    fill = made_up("google_service_account", {"account_id": "sweep"}, {"project": "acme"})
    assert filled(block, {}, fill) == {
        "email": "sweep@acme.iam.gserviceaccount.com",
        "member": "serviceAccount:sweep@acme.iam.gserviceaccount.com",
        "project": "acme",
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param('  name = "l"\n', [], id="well"),
        pytest.param('  name = "l"\n  hue = 3\n', ["main.tf: google_lamp.l: no argument hue"], id="misspelt"),
        pytest.param("", ["main.tf: google_lamp.l: name is missing"], id="missing"),
        pytest.param(
            '  name       = "l"\n  brightness = "DARK"\n',
            ["main.tf: google_lamp.l: brightness is DARK, none of DIM, BRIGHT"],
            id="value",
        ),
        pytest.param(
            '  name       = "l"\n  brightness = var.hue\n', ["main.tf: var.hue is not declared"], id="reference"
        ),
        pytest.param(
            '  name = "l"\n  shade {\n    tint = 1\n  }\n',
            ["main.tf: google_lamp.l.shade: no argument tint", "main.tf: google_lamp.l.shade: colours is missing"],
            id="in-a-block",
        ),
    ],
)
def test_files_are_held_against_a_schema_without_terraform(tmp_path: Path, body: str, expected: list[str]) -> None:
    (tmp_path / "main.tf").write_text(f'resource "google_lamp" "l" {{\n{body}}}\n')
    assert faults(parsed(tmp_path), LAMPS) == expected


def test_what_is_no_hcl_is_refused_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text("resource {{{\n")
    with pytest.raises(ValueError, match=r"^main\.tf: "):
        parsed(tmp_path)


def test_where_it_cannot_be_fetched_the_reason_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = (("no-such-program", ("no-such-program",)), ("false", ("false",)))
    monkeypatch.setattr(cache, "SOURCES", sources)
    with pytest.raises(cache.Unobtainable, match="no no-such-program; false: nothing came"):
        cache.schema_file(tmp_path)


def test_it_is_started_by_terraform_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from tools.terraform_standin import process

    monkeypatch.delenv(process.COOKIE[0], raising=False)
    with pytest.raises(SystemExit, match="which starts it itself"):
        process.main()
