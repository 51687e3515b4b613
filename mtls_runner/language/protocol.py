"""Words that servers, clients and expectations share: backends, tools, TLS versions."""

from collections.abc import Mapping
from typing import Annotated

from mtls_runner.language.values import word
from mtls_runner.model.endpoint import TlsVersion

__all__ = ["BACKEND", "BACKENDS", "TLS_VERSIONS", "TOOL", "TOOLS", "Tls"]

#: The backends and tools that the lab knows by name; the registry says what stands behind each.
BACKENDS = ("python", "nginx", "external")
TOOLS = ("python", "curl")
TLS_VERSIONS: Mapping[str, TlsVersion] = {version.value: version for version in TlsVersion}

BACKEND = word(dict(zip(BACKENDS, BACKENDS, strict=True)), "a backend")
TOOL = word(dict(zip(TOOLS, TOOLS, strict=True)), "a tool")
Tls = Annotated[TlsVersion, word(TLS_VERSIONS, "a TLS version")]
