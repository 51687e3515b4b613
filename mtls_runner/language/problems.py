"""What is wrong with a file, gathered: all of it is said at once."""

import difflib
from collections.abc import Iterable

from mtls_runner.language.document import Document, Loc
from mtls_runner.snippet import without_secrets
from mtls_runner.span import Diagnostic, Severity

__all__ = ["Problems", "meant"]


def meant(given: str, choices: Iterable[str]) -> str:
    """The choice that ``given`` is probably a slip of, or ``""``."""
    known = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(given.lower(), known, n=1, cutoff=0.6)
    return known[close[0]] if close else ""


class Problems:
    """Errors and warnings, each once, in the order of their places."""

    def __init__(self, *, partial: bool = False) -> None:
        """``partial``: parts of the file were left out, so that what is missing may be among them."""
        self._found: dict[Diagnostic, None] = {}
        self._partial = partial

    def add(self, diagnostics: Iterable[Diagnostic]) -> None:
        """What others found."""
        self._found.update(dict.fromkeys(diagnostics))

    def error(
        self, document: Document, loc: Loc, message: str, expected: str = "", suggestion: str = "", *, key: bool = False
    ) -> None:
        """An error at the value (or key) of ``loc``."""
        self.add([Diagnostic(message, document.span(loc, key=key), expected, suggestion)])

    def absent(self, document: Document, loc: Loc, message: str, expected: str = "") -> None:
        """An error about something that is missing, at what it is missing from."""
        if not self._partial:
            self.error(document, loc, message, expected, key=True)

    def warning(self, document: Document, loc: Loc, message: str, expected: str = "", *, key: bool = False) -> None:
        """A warning at the value (or key) of ``loc``."""
        self.add([Diagnostic(message, document.span(loc, key=key), expected, severity=Severity.WARNING)])

    def unknown(self, document: Document, loc: Loc, what: str, given: str, choices: Iterable[str]) -> None:
        """An id that names nothing."""
        names = list(choices)
        expected = f"one of: {', '.join(names)}" if names else "there is none in this file"
        self.error(document, loc, f"there is no {what} '{without_secrets(given)}'", expected, meant(given, names))

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
