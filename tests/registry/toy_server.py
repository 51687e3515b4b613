"""A backend of one file: the embedded server, with a greeting of its own and without ALPN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from msgspec.structs import replace
from pydantic import BaseModel, ConfigDict, Field

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.port import Material, RunningServer, ServerBackend
from mtls_runner.model.traits import BackendTraits, Refusal, Runtime
from mtls_runner.servers.python import PythonBackend


class ToyOptions(BaseModel):
    """What a toy takes."""

    model_config = ConfigDict(extra="forbid")

    greeting: str = Field(default="", max_length=20, description="What it says to everybody.", examples=["hello"])
    volume: int = Field(default=1, ge=1, le=11, description="How loudly.", examples=[11])


class ToyBackend(ServerBackend):
    def __init__(self) -> None:
        self._embedded = PythonBackend()

    def versions(self) -> Mapping[str, str]:
        return {"toy server": "1.0"}

    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        return "a toy knows no ALPN" if server.alpn else self._embedded.cannot(server, client)

    @contextmanager
    def serve(self, server: ServerSpec, material: Material, deadline: Deadline) -> Iterator[RunningServer]:
        options = ToyOptions.model_validate(dict(server.options))
        body = (options.greeting * options.volume).encode()
        greeting = tuple(replace(response, body=body) for response in server.responses)
        with self._embedded.serve(replace(server, responses=greeting), material, deadline) as running:
            yield running


TRAITS = BackendTraits(
    name="toy",
    sentence="a toy",
    summary="a toy that greets people",
    make=ToyBackend,
    library="openssl",
    completes_chains=True,
    refusal=Refusal.ALERT,
    runtimes=(Runtime.EMBEDDED,),
    options=lambda: ToyOptions,
)
