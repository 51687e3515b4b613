"""yaml-language-server, spoken to as an editor does: the Language Server Protocol over its standard streams."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mtls_runner.deadlines import Deadline

__all__ = ["Json", "LanguageServer", "absent", "language_server"]

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]

_PREFIX = Path(sys.prefix) / "yaml-language-server"
_SECONDS = 60.0
_SETTINGS: dict[str, Json] = {
    "yaml": {
        "schemaStore": {"enable": False},  # nothing is fetched
        "kubernetesCRDStore": {"enable": False},
        "hover": True,
        "completion": True,
        "validate": True,
    }
}


def _program() -> Path | None:
    installed = _PREFIX / "node_modules/yaml-language-server/bin/yaml-language-server"
    if installed.is_file():
        return installed
    found = shutil.which("yaml-language-server")
    return Path(found) if found else None


def absent() -> str | None:
    """Why it can't be run; ``None``: it can."""
    if shutil.which("node") is None:
        return "node is not installed"
    if _program() is None:
        return f"yaml-language-server is not installed: npm install --prefix {_PREFIX} yaml-language-server"
    return None


class LanguageServer:
    """One process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0
        self._documents = 0
        self._diagnostics: dict[str, list[dict[str, Json]]] = {}

    def start(self) -> None:
        """Shake hands."""
        capabilities: dict[str, Json] = {
            "textDocument": {
                "completion": {"completionItem": {"snippetSupport": False, "documentationFormat": ["plaintext"]}},
                "hover": {"contentFormat": ["plaintext"]},
            },
            "workspace": {"configuration": True},
        }
        self._ask("initialize", {"processId": os.getpid(), "rootUri": None, "capabilities": capabilities})
        self._tell("initialized", {})

    def stop(self) -> None:
        """As an editor does when it ends."""
        self._ask("shutdown", None)
        self._tell("exit", None)

    def diagnostics(self, path: Path, text: str) -> list[str]:
        """What is wrong with a text, were it the content of a file beside that one: ``LINE: message``, lines from 1."""
        (found,) = self.diagnostics_of_all([(path, text)])
        return found

    def diagnostics_of_all(self, texts: Sequence[tuple[Path, str]]) -> list[list[str]]:
        """Of many at once: it looks at each a while after it was opened, since a person may go on typing."""
        opened = [self._open(path, text) for path, text in texts]
        deadline = Deadline.after(_SECONDS)
        while not all(uri in self._diagnostics for uri in opened):
            self._handle(self._read(deadline))
        for uri in opened:
            self._tell("textDocument/didClose", {"textDocument": {"uri": uri}})
        return [[_as_line(one) for one in self._diagnostics.pop(uri)] for uri in opened]

    def completions(self, path: Path, text: str) -> set[str]:
        """What is offered where ``|`` stands in the text."""
        answer = self._at_cursor("textDocument/completion", path, text)
        items = answer["items"] if isinstance(answer, dict) else answer
        assert isinstance(items, list)
        return {str(item["label"]) for item in items if isinstance(item, dict)}

    def hover(self, path: Path, text: str) -> str:
        """What is shown over the place where ``|`` stands in the text; ``""``: nothing."""
        answer = self._at_cursor("textDocument/hover", path, text)
        return json.dumps(answer, ensure_ascii=False) if answer is not None else ""

    def _at_cursor(self, method: str, path: Path, text: str) -> Json:
        before, _, after = text.partition("|")
        uri = self._open(path, before + after)
        position: dict[str, Json] = {"line": before.count("\n"), "character": len(before.rpartition("\n")[2])}
        answer = self._ask(method, {"textDocument": {"uri": uri}, "position": position})
        self._tell("textDocument/didClose", {"textDocument": {"uri": uri}})
        return answer

    def _open(self, path: Path, text: str) -> str:
        self._documents += 1  # a name of its own: what comes late about an earlier text is not about this one
        uri = path.with_name(f"{path.stem}-{self._documents}.yaml").as_uri()
        document: dict[str, Json] = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._tell("textDocument/didOpen", {"textDocument": document})
        return uri

    # --- JSON-RPC with Content-Length ---

    def _ask(self, method: str, params: Json) -> Json:
        self._number += 1
        number = self._number
        self._write({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        deadline = Deadline.after(_SECONDS)
        while True:
            message = self._read(deadline)
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message["error"]
                return message.get("result")
            self._handle(message)

    def _tell(self, method: str, params: Json) -> None:
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def _handle(self, message: dict[str, Json]) -> None:
        params = message.get("params")
        if message.get("method") == "textDocument/publishDiagnostics":
            assert isinstance(params, dict)
            found = params["diagnostics"]
            assert isinstance(found, list)
            self._diagnostics[str(params["uri"])] = [one for one in found if isinstance(one, dict)]
        elif "id" in message and "method" in message:  # the server asks the editor
            result: Json = None
            if message["method"] == "workspace/configuration":
                assert isinstance(params, dict)
                assert isinstance(params["items"], list)
                sections = [item.get("section") for item in params["items"] if isinstance(item, dict)]
                result = [_SETTINGS.get(str(section), {}) for section in sections]
            self._write({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _write(self, message: dict[str, Json]) -> None:
        assert self._process.stdin is not None
        data = json.dumps(message).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(data), data))
        self._process.stdin.flush()

    def _read(self, deadline: Deadline) -> dict[str, Json]:
        """The next message; a server that hangs is ended by pytest's time limit and the context manager."""
        deadline.check("waiting for yaml-language-server")
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "yaml-language-server went away"
        message = json.loads(self._process.stdout.read(length))
        assert isinstance(message, dict)
        return message


def _as_line(diagnostic: dict[str, Json]) -> str:
    place = diagnostic["range"]
    assert isinstance(place, dict)
    assert isinstance(place["start"], dict)
    line = place["start"]["line"]
    assert isinstance(line, int)
    return f"{line + 1}: {diagnostic['message']}"


@contextmanager
def language_server() -> Iterator[LanguageServer]:
    """One that runs, and is gone afterwards."""
    node, program = shutil.which("node"), _program()
    assert node is not None
    assert program is not None
    process = subprocess.Popen(
        [node, str(program), "--stdio"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, "LANG": "C.UTF-8"},
    )
    with process:
        try:
            server = LanguageServer(process)
            server.start()
            yield server
            server.stop()
            process.wait(_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
