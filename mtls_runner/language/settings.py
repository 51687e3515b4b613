"""Which value counts, and where it came from: what ``mtls-run config`` shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from pydantic import ValidationError

from mtls_runner.errors import ScenarioError
from mtls_runner.language import Overrides
from mtls_runner.language.context import Context
from mtls_runner.language.diagnose import diagnose
from mtls_runner.language.document import Document, Loc, read
from mtls_runner.language.glance import IMAGE_VARIABLE
from mtls_runner.language.scenario import Scenario
from mtls_runner.language.servers import Servers
from mtls_runner.language.shared_words import InPlace
from mtls_runner.language.tree import LabYaml, known_to, load_lab
from mtls_runner.language.values import Strict, defaults_of
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.registry import consent_given

__all__ = ["Setting", "settings_for"]

_BUILT_IN = "built in"
#: What a backend or client is called that the scenario declares itself; no implementation's name has a blank.
_IN_PLACE = "declared here"
#: What is shown of every server and client that has a default of its own.
_SERVER = ("client_auth", "tls", "security_level")
_CLIENT = ("tls", "server_name", "insecure", "security_level", "timeout", "body_limit", "repeat")
_CERTIFICATE = {"key": "ec-p256", "days": "365"}


class Setting(NamedTuple):
    """One setting: its key, its value as text, and where that came from."""

    key: str
    value: str
    origin: str


def settings_for(path: Path, overrides: Overrides) -> list[Setting]:
    """All settings of a scenario that have a default, whichever way they were given.

    Raises:
        ScenarioError: the scenario or its lab.yaml is invalid.
    """
    document = read(path)
    known = known_to(overrides.tree or path, consent=overrides.allow_commands or consent_given())
    lab = load_lab(path, known)
    try:
        scenario = Scenario.model_validate(document.value, context=known)
    except ValidationError as error:
        raise ScenarioError([*document.problems, *diagnose(error, document, Scenario)]) from None
    return list(_all(Context(document, scenario, lab, overrides, known)))


class _Source(Struct, frozen=True):
    """A description that may give a key, and where it stands."""

    model: Strict | None
    document: Document | None
    loc: Loc

    def given(self, key: str) -> tuple[str, str] | None:
        """Value as text and origin."""
        if self.model is None or self.document is None or key not in self.model.model_fields_set:
            return None
        place = (*self.loc, key)
        return _text(getattr(self.model, key)), str(self.document.span(place, key=True))


def _all(context: Context) -> Iterator[Setting]:
    document, lab, overrides, known = context.document, context.lab, context.overrides, context.registry
    yield Setting("lab.yaml", str(lab.document.path) if lab.document else "none", "above the scenario")
    servers = Servers(context)
    shared = _Source(lab.server, lab.document, ("defaults", "server"))
    for id_, declared in servers.declared.items():
        relatives = [servers.declared[each] for each in servers.family(id_)]
        family = [_Source(each.model, document, each.loc) for each in relatives]
        name = ".".join(map(str, declared.loc))
        yield from _chosen(
            name,
            {"backend": known.backends.default.name, "runtime": "the backend's own"} | _defaults(ServerSpec, _SERVER),
            (*family, shared),
            {"backend": (overrides.backend, "--backend"), "runtime": (overrides.runtime, "--runtime")},
        )
        backend = overrides.backend or next(
            (given[0] for one in (*family, shared) if (given := one.given("backend"))), known.backends.default.name
        )
        image = None if backend == _IN_PLACE else known.backends.named(backend).image
        yield _image(name, family, lab, overrides, image or "none")
    shared = _Source(lab.client, lab.document, ("defaults", "client"))
    defaults = {"tool": known.clients.default.name} | _defaults(ClientSpec, _CLIENT) | {"tls": "what the server offers"}
    yield from _chosen("client", defaults, (shared,), {"tool": (overrides.tool, "--tool")})
    shared = _Source(lab.certificate, lab.document, ("defaults", "certificate"))
    yield from _chosen("certificate", _CERTIFICATE, (shared,), {})
    yield from _chosen(
        "engine", {"memory": "512m", "pids": "512"}, (_Source(lab.engine, lab.document, ("engine",)),), {}
    )
    yield from _chosen(
        "", {"jobs": "2 if all is embedded, else 1", "artifacts": "none"}, (_Source(lab.file, lab.document, ()),), {}
    )


def _defaults(spec: type[Struct], keys: Sequence[str]) -> dict[str, str]:
    """As the resolved description has them."""
    defaults = defaults_of(spec)
    return {name: _text(defaults[name]) for name in keys}


def _image(name: str, family: Sequence[_Source], lab: LabYaml, overrides: Overrides, default: str) -> Setting:
    key = f"{name}.image"
    if overrides.image:
        return Setting(key, overrides.image, "--image")
    if os.environ.get(IMAGE_VARIABLE):
        return Setting(key, os.environ[IMAGE_VARIABLE], IMAGE_VARIABLE)
    engine = _Source(lab.engine, lab.document, ("engine",))
    given = next((given for source in (*family, engine) if (given := source.given("image"))), None)
    return Setting(key, *(given or (default, _BUILT_IN)))


def _chosen(
    name: str, defaults: dict[str, str], sources: Sequence[_Source], command: dict[str, tuple[str | None, str]]
) -> Iterator[Setting]:
    """Each key of ``defaults``: the command line before the scenario, before lab.yaml, before what is built in."""
    for key, default in defaults.items():
        value, option = command.get(key, (None, ""))
        found = (value, option) if value is not None else None
        for source in sources:
            found = found or source.given(key)
        text, origin = found or (default, _BUILT_IN)
        yield Setting(f"{name}.{key}" if name else key, text, origin)


def _text(value: object) -> str:
    """As an author would write it; only keys that hold no secret are asked for."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, InPlace):
        return _IN_PLACE
    if isinstance(value, list | tuple):
        return ", ".join(_text(item) for item in value)
    if isinstance(value, Strict):
        return ", ".join(f"{key}: {_text(getattr(value, key))}" for key in sorted(value.model_fields_set))
    return f"{value:g}" if isinstance(value, float) else str(value)
