"""A scenario's material, made into a directory of the user's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from mtls_runner.errors import MaterialError
from mtls_runner.handout.directory import fill
from mtls_runner.handout.formats import Form, crl_der, take
from mtls_runner.handout.index import (
    CertificateEntry,
    CrlEntry,
    Index,
    certificate_entry,
    crl_entry,
    index_json,
)
from mtls_runner.model.case import Plan
from mtls_runner.model.port import Report
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.private_files import file_names, private_directory

__all__ = ["INDEX", "ForgedFiles", "forge"]

INDEX = "index.json"


class ForgedFiles:
    """The files that were made, and what is said of them.

    Args:
        index: as written to :data:`INDEX`.
        left: files of an earlier time that somebody changed; they were left alone.
        missing: what could not be made, and why, as sentences.
    """

    __slots__ = ("index", "left", "missing")

    def __init__(self, index: Index, left: tuple[str, ...], missing: tuple[str, ...]) -> None:
        self.index = index
        self.left = left
        self.missing = missing


def forge(plan: Plan, directory: Path, forms: frozenset[Form], progress: Report | None = None) -> ForgedFiles:
    """Make the plan's certificates, keys and CRLs, and write them.

    What can't be made, or has no such form, is a note in the index; everything else is there.

    Args:
        plan: whose.
        directory: see :func:`mtls_runner.handout.directory.fill`.
        forms: how to write them.
        progress: told about keys that take time.

    Raises:
        UsageError: something that is not the program's own is in the way; nothing was written.
        MaterialError: a file can't be written.
    """
    with private_directory() as private:
        start = datetime.now(UTC)
        store = Store(
            private, plan.certificates, start=start, pool=KeyPool.of_user(), progress=progress, crls=plan.crls
        )
        files: dict[str, bytes] = {}
        notes: list[str] = list(store.users_files.notes)
        missing: list[str] = []
        certificates = tuple(_certificates(plan, store, forms, files, notes, missing))
        crls = tuple(_crls(plan, store, start, forms, files, notes, missing))
    index = Index(
        plan.name,
        plan.description,
        str(plan.path),
        start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        certificates,
        crls,
        (*notes, *(f"not made: {why}" for why in missing)),
    )
    files[INDEX] = index_json(index)
    return ForgedFiles(index, fill(directory, files), tuple(missing))


def _certificates(
    plan: Plan, store: Store, forms: frozenset[Form], files: dict[str, bytes], notes: list[str], missing: list[str]
) -> list[CertificateEntry]:
    names = file_names(plan.certificates)
    entries = []
    for spec in plan.certificates.values():
        try:
            credential = store.credential(spec.id)
            taken = take(credential, forms)
        except MaterialError as error:
            missing.append(str(error))
            continue
        base = f"{'authorities' if spec.authority else 'leaves'}/{names[spec.id]}"
        named = taken.named(base)
        files.update((named[part], content) for part, content in taken.files.items())
        notes += taken.notes
        entries.append(certificate_entry(spec, credential, {str(part): name for part, name in named.items()}))
    return entries


def _crls(
    plan: Plan,
    store: Store,
    start: datetime,
    forms: frozenset[Form],
    files: dict[str, bytes],
    notes: list[str],
    missing: list[str],
) -> list[CrlEntry]:
    names = file_names(plan.crls)
    entries = []
    for spec in plan.crls.values():
        try:
            pem = store.crl((spec.id,)).read_bytes()
        except (MaterialError, OSError) as error:
            missing.append(f"CRL {spec.id!r}: {error}")
            continue
        named = {"crl": f"crls/{names[spec.id]}.crl.pem"}
        files[named["crl"]] = pem
        if Form.DER in forms:
            try:
                files[f"crls/{names[spec.id]}.crl"] = crl_der(pem)
                named["crl_der"] = f"crls/{names[spec.id]}.crl"
            except ValueError as error:
                notes.append(f"CRL {spec.id!r} has no der form: {error}")
        entries.append(crl_entry(spec, start, named))
    return entries
