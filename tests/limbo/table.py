"""``docs/x509-limbo.md``: run ``python -m tests.limbo.table`` to make it anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from mtls_runner.tls import VERIFY_CODES

from .exchange import BEYOND, UNREACHED, facts, why_not
from .oracle import WORDS, version
from .suite import ABSENT, Case, cases

__all__ = ["TABLE", "table"]

TABLE = Path(__file__).parents[2] / "docs" / "x509-limbo.md"

_HEAD = """\
# x509-limbo: does the lab tell the truth?

[x509-limbo](https://github.com/C2SP/x509-limbo) is a public suite of certificate chains for testing validators. The lab is
no validator: it shows what OpenSSL, as Python's `ssl`, curl and nginx use it, makes of a chain in a real handshake. So its
cases are run as handshakes, with their material brought in as files (`certificate:`, `key:`, `chain:`, CRLs), and each must end
as `openssl verify` ends for the same chain: the same purpose, trust, name, flags and security level, the same verify code.
Each runs three ways: Python's `ssl`, curl (which accepts partial chains and checks names itself), and Python's `ssl` with
`x509_strict`. There is no disagreement; `tests/limbo/` holds the lab to that.

Made by `python -m tests.limbo.table` with OpenSSL {version}; other versions differ in some lines.
"""


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    names = list(header)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _said(code: int) -> str:
    return f"refuses: `{WORDS[code]}` ({code}, `{VERIFY_CODES[code].symbol}`)" if code else "accepts"


def _also_strict(case: Case) -> str:
    codes = facts(case).codes
    return "the same" if codes["strict"] == codes["python"] else _said(codes["strict"])


def _deviates(case: Case) -> bool:
    """Whether OpenSSL, asked for what the suite asks, does not do what the suite wishes."""
    asked_otherwise = _dated(case) or _not_asked(case)
    return not asked_otherwise and case.accepted != (not facts(case).codes["python"])


def _dated(case: Case) -> bool:
    """Whether the verdict hangs on the suite's time; what its CRL cases hold is valid from 1970 to 2969."""
    return case.fixed_time and not case.crls


def table() -> str:
    """The page.

    Raises:
        FileNotFoundError: the suite's file is not there.
    """
    if not cases():
        raise FileNotFoundError(ABSENT)
    run = [case for case in cases() if not why_not(case)]
    left_out = [case for case in cases() if why_not(case)]
    unusable = [case for case in run if facts(case).unusable]
    limited = [case for case in run if _not_asked(case)]
    dated = [case for case in run if _dated(case)]
    deviating = [case for case in run if _deviates(case)]
    lines = [_HEAD.format(version=version())]
    lines += _table(
        ("cases", "number"),
        (
            ("in the suite", str(len(cases()))),
            ("with a private key and no fixed time of validation", str(sum(not c.fixed_time for c in run))),
            ("run", str(len(run))),
            ("of these, accepted by OpenSSL", str(sum(not facts(case).codes["python"] for case in run))),
            ("can't be run", str(len(left_out))),
            ("disagreements between the lab and OpenSSL", "0"),
            ("where OpenSSL deviates from what the suite wishes", str(len(deviating))),
        ),
    )
    lines += ["## Cases that can't be run", ""]
    lines += _table(("case", "why"), ((f"`{case.id}`", why_not(case)) for case in left_out))
    lines += [*_not_presented(unusable), "## Where a client asks more than `openssl verify`", ""]
    lines += _table(
        ("case", "who", "says", "why"),
        ((f"`{id_}`", ", ".join(b.ways), f"`{b.reason}`", b.why) for id_, b in BEYOND.items()),
    )
    lines += ["## Asked in part", ""]
    lines += [
        "Both the lab and `openssl verify` are asked about these without the part that the lab can't ask for.",
        "",
    ]
    lines += _table(
        ("case", "what is not asked"),
        (
            *((f"`{case.id}`", _not_asked(case)) for case in limited),
            *((f"`{case.id}`", "the suite's time of validation: a handshake is judged now") for case in dated),
        ),
    )
    lines += ["## Where OpenSSL deviates from what the suite wishes", "", *_DEVIATIONS]
    lines += _table(
        ("case", "the suite", "OpenSSL", "with `x509_strict`", "the suite's mark"),
        (
            (
                f"`{case.id}`",
                "accepts" if case.accepted else "refuses",
                _said(facts(case).codes["python"]),
                _also_strict(case),
                ", ".join(case.features),
            )
            for case in deviating
        ),
    )
    return "\n".join(lines)


_DEVIATIONS = [
    "The lab reports what is: a certificate that OpenSSL accepts here is accepted by servers and clients that use it, unless",
    "they set flags of their own. `x509_strict` is the lab's word for `X509_V_FLAG_X509_STRICT`, which Python sets by default",
    "from 3.13 on.",
    "",
]


def _not_asked(case: Case) -> str:
    if case.max_chain_depth is not None:
        return f"a limit of {case.max_chain_depth} intermediates: neither Python's `ssl` nor curl has a setting for it"
    if case.holders:
        return "the email address of the client: no TLS server checks it"
    if case.server and case.name is None:
        return "a chain without a name: clients check one, here `localhost`, which it is not for"
    return ""


def _not_presented(unusable: list[Case]) -> Iterator[str]:
    yield "## Where the certificate can't be presented"
    yield ""
    yield "The lab says so, and OpenSSL is the oracle here too, asked by `SSL_CTX_use_certificate_chain_file` as Python and curl"
    yield "ask it. What is too weak for the default security level is run with a server at level 0 besides."
    yield ""
    rows = [
        (f"`{case.id}`", f"`server-unusable: {facts(case).unusable}`", _why_unusable(facts(case).unusable))
        for case in unusable
    ]
    rows += [(f"`{id_}`", f"`{u.outcome}: {u.reason}`", u.why) for id_, u in UNREACHED.items()]
    yield from _table(("case", "the lab says", "why"), rows)


def _why_unusable(reason: str) -> str:
    if reason == "malformed":
        return "OpenSSL finds its extensions invalid; nginx, which loads files another way, presents it, and is refused"
    return "a key of the chain is too weak for security level 2"


if __name__ == "__main__":
    TABLE.write_text(table())
