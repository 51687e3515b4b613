"""What docs/tutorial.md shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .__main__ import ENGINE_STEP, PAGE, ROOT, filled, without_figures

PAGE_TEXT = PAGE.read_text()
SECTIONS = re.split(r"(?m)^(?=## )", PAGE_TEXT)
STEPS = [section for section in SECTIONS if re.match(r"## \d", section) and not section.startswith(ENGINE_STEP)]
FILES = sorted((ROOT / "docs/tutorial").glob("*.yaml"))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: str(step).partition("\n")[0])
def test_a_step_is_what_running_it_prints(step: str) -> None:
    assert "\n$ mtls-run " in step
    assert filled(step) == step


@pytest.mark.usefixtures("nginx_engine")
def test_the_step_on_nginx_too() -> None:
    (step,) = (section for section in SECTIONS if section.startswith(ENGINE_STEP))
    assert filled(step) == step


def test_a_page_that_shows_something_else_is_found_out() -> None:
    step = STEPS[0]
    for wrong in (step.replace("accepted, status 200", "accepted, status 201"), step.replace("hello", "bye")):
        assert wrong != step
        assert filled(wrong) != wrong
        assert without_figures(filled(wrong)) == without_figures(step)


def test_only_figures_do_not_count() -> None:
    one = "1 passed of 1 case in 0.20 s\npython 3.11.7, python ssl 3.0.19\n      > Finished (52 bytes)\n"
    other = "1 passed of 1 case in 11.30 s\npython 3.14.0rc1, python ssl 3.5.1\n      > Finished (68 bytes)\n"
    assert without_figures(one) == without_figures(other)
    assert without_figures(one) != without_figures(one.replace("1 passed", "2 passed"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_lab_is_on_the_page(path: Path) -> None:
    assert f"<!-- file: tutorial/{path.name} -->" in PAGE_TEXT
    assert f"docs/tutorial/{path.name}" in PAGE_TEXT


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", PAGE_TEXT))))
def test_links_lead_somewhere(target: str) -> None:
    assert (PAGE.parent / target).exists()
