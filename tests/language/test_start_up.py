"""What an import loads: starting up is a feature."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCENARIO = Path(__file__).parents[2] / "scenarios" / "basic.yaml"


def loaded(code: str) -> set[str]:
    """Top-level modules after running ``code`` in a process of its own."""
    program = f"import sys\nfrom pathlib import Path\n{code}\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_naming_the_room_loads_neither_yaml_nor_pydantic() -> None:
    assert loaded("from mtls_runner.language import Overrides, load").isdisjoint({"yaml", "pydantic"})


def test_loading_a_scenario_loads_no_more_than_it_needs() -> None:
    code = f"from mtls_runner.language import load\nload(Path({str(SCENARIO)!r}))"
    modules = loaded(code)
    assert {"yaml", "pydantic"} <= modules
    assert modules.isdisjoint({"cryptography", "docker", "jsonschema", "rich", "jinja2", "click"})


def test_snippets_need_nothing() -> None:
    assert loaded("import mtls_runner.snippet").isdisjoint({"yaml", "pydantic", "rich"})


@pytest.mark.parametrize("blocked", ["yaml._yaml"])
def test_without_libyaml_the_same_plan(blocked: str) -> None:
    code = f"""
from mtls_runner.language import load
plan = load(Path({str(SCENARIO)!r}))
print(len(plan.cases), plan.cases[0].expect.checks[0].span.line, plan.cases[-1].id.rpartition("::")[2])
"""
    outputs = [
        subprocess.run(
            [sys.executable, "-c", f"import sys\nfrom pathlib import Path\n{first}{code}"],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for first in ("", f"sys.modules[{blocked!r}] = None\n")
    ]
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("8 ")
