"""A plan → the files of a directory whose ``run.sh`` does the same by hand."""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from mtls_runner.errors import MaterialError, UsageError
from mtls_runner.export.curl import NOBODY
from mtls_runner.export.material import Workshop, is_several
from mtls_runner.export.servers import Sections, sections
from mtls_runner.export.shell import word
from mtls_runner.handout.directory import fill
from mtls_runner.model.case import Plan
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Report
from mtls_runner.model.traits import PlainServer
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.private_files import private_directory
from mtls_runner.text_templates import comment, environment, printable
from mtls_runner.tls import ALERTS, VERIFY_CODES
from mtls_runner.tls.rules import OPENSSL, alert_reasons

__all__ = ["SCRIPT", "Exported", "export"]

SCRIPT = "run.sh"
_LIBRARY = "lab.sh"
_SERVES = {
    PlainServer.S_SERVER: (
        "The embedded servers are `openssl s_server` here: like them it refuses in TLS, where nginx would answer 400. Its "
        "bodies are its own."
    ),
    PlainServer.NGINX: "nginx runs in a container; `IMAGE=… bash run.sh` takes another image.",
    PlainServer.RUNNING: "Servers that run already are only connected to.",
}


class Exported(Struct, frozen=True):
    """What was exported, and what had to be left out.

    Args:
        script: to run.
        names: of the cases in it, in their order.
        left_out: why these tools can't show some cases, and the names of those.
        forged: what the lab made since openssl can't, and why.
        not_compared: what cases expect and the script does not look at.
        left: files of an earlier time that somebody changed; they were left alone.
    """

    script: Path
    names: tuple[str, ...]
    left_out: tuple[tuple[str, tuple[str, ...]], ...]
    forged: tuple[str, ...]
    not_compared: tuple[str, ...]
    left: tuple[str, ...]


def export(
    plan: Plan,
    directory: Path,
    progress: Report | None = None,
    *,
    without: Sequence[tuple[str, str]] = (),
) -> Exported:
    """Write the directory with the script.

    Args:
        plan: loaded with curl as every case's client.
        directory: see :func:`mtls_runner.handout.directory.fill`.
        progress: told about keys that take time.
        without: cases that are not in the plan, and why.

    Raises:
        UsageError: no case can be shown; or something that this command did not make is in the way.
        LabError: material can't be made, or nothing can be written.
    """
    with private_directory() as private:
        shop = Workshop(plan)
        store = Store(
            private,
            plan.certificates,
            start=datetime.now(UTC),
            pool=KeyPool.of_user(),
            progress=progress,
            crls=plan.crls,
        )
        made = sections(plan, shop, store)
        made.left_out.extend(without)
        if not made.names:
            why = "; ".join(dict.fromkeys(reason for _, reason in made.left_out)) or "it has no cases"
            raise UsageError(f"{plan.path}: nothing of it can be exported: {why}")
        forged, forged_crls = shop.reasons(), shop.forged_crls()
        steps, crl_steps = list(shop.steps(forged)), list(shop.crl_steps(forged_crls))
        forged_files = {**_forged(shop, store, forged), **_forged_crls(shop, store, forged_crls)}
    secrets = {f"secrets/{name}": content for name, content in shop.secrets.items()}
    files = {**made.files, **forged_files, **secrets, **_brought(shop)}
    left_out = _by_reason(made)
    reasons = [f"{id_}: {reason}" for id_, reason in forged.items()]
    reasons += [f"CRL {id_}: {reason}" for id_, reason in forged_crls.items()]
    values = {
        **_comments(plan, made, reasons),
        "docker": PlainServer.NGINX in made.started,
        "s_server": PlainServer.S_SERVER in made.started,
        "left_out": [f"{why}: {'; '.join(names)}" for why, names in left_out],
        "image": word(min(made.images)) if made.images else "",
        "copied": sorted({name.partition("/")[0] for name in files if "/" in name} - {"forged"}),
        "dated": bool(crl_steps) or any(step.dated for step in steps),
        "forged": bool(forged_files),
        "steps": steps,
        "crls": crl_steps,
        "nobody": any(NOBODY in case for server in made.servers for case in server.cases),
        "bundles": [(word(path), line) for path, line in shop.bundles.items() if line],
        "total": len(made.names),
        "servers": made.servers,
        "verify_codes": _verify_codes(),
        "alerts": list(_alerts()),
    }
    files[SCRIPT] = _rendered("run.sh", values)
    files[_LIBRARY] = _rendered("lab.sh", values)
    left = fill(directory, files, command="export")
    script = directory / SCRIPT
    try:
        script.chmod(0o700)
    except OSError as error:
        raise MaterialError(f"{script}: {error.strerror}") from error
    return Exported(script, tuple(made.names), left_out, tuple(reasons), tuple(sorted(made.not_compared)), left)


def _comments(plan: Plan, made: Sections, reasons: Sequence[str]) -> dict[str, object]:
    """What the script says of itself."""
    return {
        "title": f"{plan.name}, from {plan.path.name}",
        "description": textwrap.wrap(plan.description, 114),
        "serves": [line for name in sorted(made.started) for line in textwrap.wrap(_SERVES[name], 114)],
        "not_compared": sorted(made.not_compared),
        "reasons": [line for reason in reasons for line in textwrap.wrap(reason, 110, subsequent_indent="  ")],
    }


def _alerts() -> Iterator[tuple[int, str]]:
    """What a client built on OpenSSL may hold against a server by an alert, as the shell compares it."""
    for code, name in ALERTS.items():
        allowed = alert_reasons(name, OPENSSL)
        if allowed:
            yield code, "|".join(reason for reason in Reason if reason in allowed)


def _by_reason(made: Sections) -> tuple[tuple[str, tuple[str, ...]], ...]:
    grouped: dict[str, list[str]] = {}
    for name, why in made.left_out:
        grouped.setdefault(why, []).append(name)
    return tuple((why, tuple(names)) for why, names in grouped.items())


def _forged(shop: Workshop, store: Store, ids: Iterable[str]) -> dict[str, bytes]:
    pieces: dict[str, Path | None] = {}
    for id_ in ids:
        credential = store.credential(id_)
        certificate = shop.certificate(id_)
        pieces |= {certificate: credential.certificate_path, shop.key(id_): credential.key_path}
        spec, base = shop.plan.certificates[id_], certificate.removesuffix(".crt")
        if spec.files is not None:
            pieces[f"{base}.chain.pem"] = credential.chain_path
        if is_several(spec):
            pieces[f"{base}.all.pem"] = store.bundle((id_,))
    return _contents({target.replace("pki/", "forged/", 1): source for target, source in pieces.items()})


def _forged_crls(shop: Workshop, store: Store, ids: Iterable[str]) -> dict[str, bytes]:
    return _contents({shop.crl((id_,)).replace("pki/", "forged/", 1): store.crl((id_,)) for id_ in ids})


def _brought(shop: Workshop) -> dict[str, bytes]:
    return _contents({f"files/{name}": path for name, path in shop.brought.items()})


def _contents(paths: Mapping[str, Path | None]) -> dict[str, bytes]:
    """But for files that are missing, on purpose."""
    found: dict[str, bytes] = {}
    for name, path in paths.items():
        with contextlib.suppress(OSError):
            if path is not None:
                found[name] = path.read_bytes()
    return found


def _verify_codes() -> list[tuple[str, str]]:
    """Codes that mean the same, as alternatives of a shell pattern."""
    classes: dict[Reason, list[str]] = {}
    for code, known in VERIFY_CODES.items():
        if known.reason is not None and known.reason is not Reason.OTHER:
            classes.setdefault(known.reason, []).append(str(code))
    return [(" | ".join(codes), reason.value) for reason, codes in classes.items()]


def _rendered(template: str, values: Mapping[str, object]) -> bytes:
    made = environment("mtls_runner.export", comment=comment, quoted=lambda text: word(printable(text)))
    return made.get_template(template).render(values).encode()
