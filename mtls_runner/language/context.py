"""What planning one file needs everywhere: the file, lab.yaml, the command line, and where to say what is wrong."""

import os
import re
import select
import stat
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from mtls_runner.errors import Diagnostic, Severity
from mtls_runner.language import Overrides
from mtls_runner.language.certificate import Passphrase
from mtls_runner.language.document import Document, Loc, meant
from mtls_runner.language.scenario import Scenario
from mtls_runner.language.shared_words import InPlace
from mtls_runner.language.tree import LabYaml
from mtls_runner.model import plural
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import ByIdentity
from mtls_runner.model.traits import BackendTraits, ClientTraits
from mtls_runner.registry import Registry, consent_given, declared_backend, declared_client

if TYPE_CHECKING:
    from mtls_runner.model.implementation import Implementation

__all__ = ["Context", "Problems"]

_PIPE_SECONDS = 5.0
"""How long somebody may take to write a passphrase into a pipe."""
_MAX_PASSPHRASE = 4096
_WHERE_TO_HAVE_ONE = {
    "responder": "responders: in this file, or a URI",
    "server": "server: or servers: in this file",
    "authority": "ca: or authorities: in this file",
}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class Problems:
    """Errors and warnings, each once, in the order of their places."""

    def __init__(self, *, partial: bool = False, lost: Collection[str] = ()) -> None:
        """
        Args:
            partial: parts of the file were left out, so that what is missing may be among them.
            lost: ids that stand in those parts: what names them is right.
        """
        self._found: dict[Diagnostic, None] = {}
        self.partial = partial
        self.lost = lost

    def add(self, diagnostics: Iterable[Diagnostic]) -> None:
        """What others found."""
        self._found.update(dict.fromkeys(diagnostics))

    def error(
        self, document: Document, loc: Loc, message: str, expected: str = "", suggestion: str = "", *, key: bool = False
    ) -> None:
        """An error at the value (or key) of ``loc``."""
        self.found(document.text, Diagnostic(message, document.span(loc, key=key), expected, suggestion))

    def absent(self, document: Document, loc: Loc, message: str, expected: str = "") -> None:
        """An error about something that is missing, at what it is missing from."""
        if not self.partial:
            self.error(document, loc, message, expected, key=True)

    def warning(self, document: Document, loc: Loc, message: str, expected: str = "", *, key: bool = False) -> None:
        """A warning at the value (or key) of ``loc``."""
        self.found(document.text, Diagnostic(message, document.span(loc, key=key), expected, severity=Severity.WARNING))

    def unknown(self, document: Document, loc: Loc, what: str, given: str, choices: Iterable[str]) -> None:
        """An id that names nothing."""
        if given in self.lost:
            return
        from mtls_runner.snippet.masking import without_secrets

        names = list(choices)
        expected = f"one of: {', '.join(names)}" if names else _WHERE_TO_HAVE_ONE.get(what, "")
        self.error(document, loc, f"there is no {what} '{without_secrets(given)}'", expected, meant(given, names))

    def found(self, text: str, diagnostic: Diagnostic) -> None:
        """Something that was found in this text of a file, without the secrets that stand there."""
        from mtls_runner.snippet.masking import discreet

        self.add([discreet(diagnostic, text)])

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """By place."""
        return self._of(Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """By place."""
        return self._of(Severity.WARNING)

    def _of(self, severity: Severity) -> tuple[Diagnostic, ...]:
        chosen = [diagnostic for diagnostic in self._found if diagnostic.severity is severity]
        return tuple(sorted(chosen, key=lambda one: (one.span is None, one.span and (str(one.span.path), one.span))))


class Context(Struct):
    """One file being planned."""

    document: Document
    scenario: Scenario
    lab: LabYaml
    overrides: Overrides
    registry: Registry
    problems: Problems = field(default_factory=Problems)
    case_indices: Sequence[int] | None = None
    recording: bool = False
    """Expectations may be missing: they are to be written."""
    files: set[Path] = field(default_factory=set)
    """All that :meth:`beside` found the way to."""
    _secrets: ByIdentity[Passphrase, Secret | str] = field(default_factory=ByIdentity)
    _backends: ByIdentity[InPlace, BackendTraits] = field(default_factory=ByIdentity)
    _tools: ByIdentity[InPlace, ClientTraits] = field(default_factory=ByIdentity)

    def case_index(self, index: int) -> int:
        """Where in the file's list of cases the scenario's case stands: invalid ones may have been left out."""
        return index if self.case_indices is None else self.case_indices[index]

    def unrecorded(self, document: Document, loc: Loc, more: int = 0) -> None:
        """There is no expectation at ``loc`` (and in that many more cases): a mistake, but where they are to be written."""
        if not self.recording:
            import shlex

            file = shlex.quote(str(self.document.path))
            others = f", here and in {plural(more, 'more case')}" if more else ""
            expected = f"what must be seen; `mtls-run record {file}` writes what happens"
            self.problems.absent(document, loc, f"'expect' is missing{others}", expected)

    @property
    def consent(self) -> bool:
        """Whether commands that the scenario's tree brings may run."""
        return self.overrides.allow_commands or consent_given()

    def backend_in_place(self, declared: InPlace) -> BackendTraits:
        """The traits of a server that the scenario itself declares."""
        known = self._backends.get(declared)
        if known is None:
            made = self._in_place(declared)
            known = self._backends.set(declared, declared_backend(made, consent=self.consent))
        return known

    def tool_in_place(self, declared: InPlace) -> ClientTraits:
        """The traits of a client that the scenario itself declares."""
        known = self._tools.get(declared)
        if known is None:
            made = self._in_place(declared)
            known = self._tools.set(declared, declared_client(made, consent=self.consent))
        return known

    def _in_place(self, declared: InPlace) -> "Implementation":
        from mtls_runner.language.implementations.reading import in_place

        lab = self.lab.document
        loc = lab.where(declared.written) if lab is not None else None
        if lab is not None and loc is not None:
            return in_place(lab, loc, declared.model, self.problems)
        return in_place(self.document, self.document.where(declared.written) or (), declared.model, self.problems)

    def beside(self, document: Document, path: str) -> Path:
        """An absolute path; a relative one starts at the file that it is written in. A NUL byte, which no path can hold,
        stands in it as it was written, so that there is no such file.
        """
        found = (document.path.parent / path.replace("\0", "\\0")).resolve()
        self.files.add(found)
        return found

    def unreadable(self, document: Document, path: str) -> str:
        """Why a file that is named there is none to read; ``""``: it is one."""
        try:
            mode = self.beside(document, path).stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return "there is no such file"
        except OSError as error:
            return f"the file that is named here can't be read: {error.strerror}"
        return "" if stat.S_ISREG(mode) else "what is named here is not a regular file"

    def secret(self, passphrase: Passphrase, document: Document) -> Secret | None:
        """The passphrase itself; ``None`` when it can't be had, which :meth:`check_secret` says where it is written."""
        found = self._looked_up(passphrase, document)
        return found if isinstance(found, Secret) else None

    def check_secret(self, passphrase: Passphrase, document: Document, loc: Loc) -> None:
        """That the passphrase which is written at ``loc`` can be had."""
        found = self._looked_up(passphrase, document)
        if isinstance(found, str):
            self.problems.error(document, loc, found)

    def _looked_up(self, passphrase: Passphrase, document: Document) -> Secret | str:
        """Once: whoever comes first knows the file that a path is relative to."""
        known = self._secrets.get(passphrase)
        return self._secrets.set(passphrase, self._found(passphrase, document)) if known is None else known

    def _found(self, passphrase: Passphrase, document: Document) -> Secret | str:
        """The passphrase, or why it can't be had."""
        if passphrase.text is not None:
            return passphrase.text
        if passphrase.env is not None:
            value = os.environ.get(passphrase.env)
            return _from_environment(passphrase.env, value)
        path = self.beside(document, passphrase.file or "")
        try:
            line = _first_line(path).rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror or str(error) if isinstance(error, OSError) else "not UTF-8"
            return f"the file that is named here can't be read: {why}"
        return Secret(line) if line else "the first line of the file that is named here is empty"


def _from_environment(name: str, value: str | None) -> Secret | str:
    """The passphrase, or why it is none. A name that looks like none is not told: it may be the passphrase itself."""
    variable = f"the environment variable {name if _VARIABLE.fullmatch(name) else 'that is named here'}"
    if not value:
        return f"{variable} is {'not set' if value is None else 'empty'}"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"the value of {variable} is not UTF-8"
    return Secret(value)


def _first_line(path: Path) -> str:
    """Of a file, or of a pipe that somebody writes into.

    Raises:
        OSError: it can't be read, or nobody writes into it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        data = b""
        while b"\n" not in data and len(data) < _MAX_PASSPHRASE:
            if not select.select([file], [], [], _PIPE_SECONDS)[0]:
                raise TimeoutError(0, f"nothing came out of it for {_PIPE_SECONDS:.0f} s")
            more = os.read(descriptor, _MAX_PASSPHRASE)
            if not more:
                break
            data += more
    return data.partition(b"\n")[0].decode()
