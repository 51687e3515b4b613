"""What the script makes, and in what order; what the lab forges for it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from mtls_runner.export.recipe import days, extension_lines, key_command, openssl_cannot, subject_option
from mtls_runner.export.shell import word, wrapped
from mtls_runner.model.case import Plan
from mtls_runner.model.certificate import AuthorityKeyIdentifier, CertificateSpec, Defect, Secret
from mtls_runner.model.chain import Issuers
from mtls_runner.model.endpoint import ChainKind, ChainSpec
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import CrlSpec
from mtls_runner.private_files import file_names

__all__ = ["CertificateStep", "Workshop", "is_several"]

_BARE = frozenset((Defect.NO_KEY_IDENTIFIERS, Defect.VERSION_1))
_NOT_THEIR_OWN = frozenset((Defect.KEY_MISMATCH, Defect.KEY_TYPE_MISMATCH))


class CertificateStep(Struct, frozen=True):
    """How the script makes one certificate: what it is (a comment), its extensions, and commands."""

    what: str
    name: str
    extensions: tuple[str, ...]
    commands: tuple[str, ...]
    dated: bool
    """Its dates are given to the second, which takes ``openssl ca``."""


class Workshop:
    """Names every file that cases and servers ask for, relative to the script's working directory, and notes how to make it.

    Args:
        plan: the one that is exported.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.secrets: dict[str, bytes] = {}
        """Name below ``secrets/`` → content."""
        self.brought: dict[str, Path] = {}
        """Name below ``files/`` → file of the author's."""
        self.bundles: dict[str, str] = {}
        """File → the command that makes it."""
        self.wanted: set[str] = set()
        self.crls: set[str] = set()
        self._names: Mapping[str, str] = file_names(plan.certificates)
        self._crl_names: Mapping[str, str] = file_names(plan.crls)
        self._lineage = Issuers(plan.certificates)

    # --- files that are asked for ---

    def certificate(self, id_: str) -> str:
        """The certificate alone."""
        self._want(id_)
        return f"pki/{self._names[id_]}.crt"

    def key(self, id_: str) -> str:
        """Its private key, as encrypted as the scenario says."""
        self._want(id_)
        return f"pki/{self._names[id_]}.key"

    def passphrase(self, secret: Secret, name: str) -> str:
        """A file that holds the passphrase."""
        content = f"{secret.reveal()}\n".encode()
        return f"secrets/{self._secret(name, '.pass', content)}"

    def curl_settings(self, secret: Secret, name: str) -> str:
        """A file for ``curl -K`` that gives the key's passphrase."""
        text = secret.reveal()
        for character, letter in (("\\", "\\"), ('"', '"'), ("\t", "t"), ("\n", "n"), ("\r", "r"), ("\v", "v")):
            text = text.replace(character, f"\\{letter}")
        line = f'pass = "{text}"\n'
        return f"secrets/{self._secret(name, '.curlrc', line.encode())}"

    def _secret(self, name: str, ending: str, content: bytes) -> str:
        base = self._names.get(name, name)
        number = 1
        while self.secrets.get(file := f"{base}{f'-{number}' if number > 1 else ''}{ending}", content) != content:
            number += 1
        self.secrets[file] = content
        return file

    def bring(self, path: Path) -> str:
        """A file of the author's; it may be missing on purpose."""
        number = 1
        while self.brought.get(name := f"{f'{number}-' if number > 1 else ''}{path.name}", path) != path:
            number += 1
        self.brought[name] = path
        return f"files/{name}"

    def bundle(self, ids: Sequence[str]) -> str:
        """These certificates in one file."""
        if len(ids) == 1 and not is_several(self.plan.certificates[ids[0]]):
            return self.certificate(ids[0])
        return self._joined("trust", [self._all_of(id_) for id_ in ids], ids)

    def _all_of(self, id_: str) -> str:
        """The file of an authority: of an own one with all that it holds, of one that stands for several with all of them."""
        spec = self.plan.certificates[id_]
        self._want(id_)
        if is_several(spec):
            self.bundles[f"pki/{self._names[id_]}.all.pem"] = ""
            return f"pki/{self._names[id_]}.all.pem"
        return self.certificate(id_)

    def chain(self, id_: str, chain: ChainSpec) -> str:
        """The certificate and what comes after it."""
        if chain.kind is ChainKind.FULL and self.plan.certificates[id_].files is not None:
            self._want(id_)
            return f"pki/{self._names[id_]}.chain.pem"
        more = self._after(id_, chain)
        return (
            self._joined("chain", [self.certificate(one) for one in (id_, *more)], (id_, *more))
            if more
            else self.certificate(id_)
        )

    def after(self, id_: str, chain: ChainSpec, material: Material) -> str | None:
        """What comes after the certificate, for a program that is given it apart; ``None``: nothing."""
        if chain.kind is ChainKind.FULL and self.plan.certificates[id_].files is not None:
            if material.credential(id_).chain_path.read_bytes().count(b"-----BEGIN CERTIFICATE-----") < 2:
                return None
            return self._made("after", f"sed '1,/-----END CERTIFICATE-----/d' {word(self.chain(id_, chain))}", (id_,))
        more = self._after(id_, chain)
        return self._joined("after", [self.certificate(one) for one in more], more) if more else None

    def _after(self, id_: str, chain: ChainSpec) -> Sequence[str]:
        if chain.kind is ChainKind.LEAF:
            return ()
        return self._lineage.intermediates(id_) if chain.kind is ChainKind.FULL else chain.ids

    def crl(self, ids: Sequence[str]) -> str:
        """These CRLs in one file."""
        for id_ in ids:
            self.crls.add(id_)
            self._want_crl(self.plan.crls[id_])
        files = [f"pki/{self._crl_names[id_]}.crl" for id_ in ids]
        return files[0] if len(files) == 1 else self._joined("crls", files, ids)

    def joined(self, kind: str, files: Sequence[str]) -> str:
        """One file with the content of all these."""
        return self._joined(kind, files, [Path(file).stem for file in files])

    def _joined(self, kind: str, files: Sequence[str], ids: Sequence[str]) -> str:
        return self._made(kind, f"cat {' '.join(map(word, files))}", ids)

    def _made(self, kind: str, command: str, ids: Sequence[str]) -> str:
        base = "+".join(self._names.get(id_, id_) for id_ in ids)[:80]
        number = 1
        while (
            self.bundles.get(path := f"bundles/{kind}-{base}{f'-{number}' if number > 1 else ''}.pem", command)
            != command
        ):
            number += 1
        self.bundles[path] = command
        return path

    # --- what it takes ---

    def _want(self, id_: str) -> None:
        if id_ in self.wanted:
            return
        self.wanted.add(id_)
        spec = self.plan.certificates[id_]
        for other in (spec.issuer, spec.key.same_as):
            if other is not None and other in self.plan.certificates:
                self._want(other)

    def _want_crl(self, crl: CrlSpec) -> None:
        for id_ in (crl.issuer, *crl.revoked) if crl.file is None else ():
            self._want(id_)

    def reasons(self) -> dict[str, str]:
        """What the lab forges, and why: what openssl can't make, and whoever signed that (its key is needed)."""
        specs = self.plan.certificates
        found: dict[str, str] = {}
        order = {id_: number for number, id_ in enumerate(specs)}
        for id_ in specs:
            if id_ not in self.wanted:
                continue
            spec, issuer = specs[id_], specs.get(specs[id_].issuer or "")
            reason = openssl_cannot(spec)
            if reason is None and issuer is not None:
                reason = _issuer_cannot(spec, issuer, order[issuer.id] > order[id_])
            if reason is None and _names_a_key(spec) and not _has_identifier(issuer or spec):
                reason = "it names an issuer's key that has no identifier"
            if reason is not None:
                found[id_] = reason
        for id_ in self.crls:
            if _forged_crl(self.plan.crls[id_]) is not None and self.plan.crls[id_].file is None:
                found.setdefault(self.plan.crls[id_].issuer, "it signs a CRL that openssl can't make")
                for revoked in self.plan.crls[id_].revoked:
                    found.setdefault(revoked, "a CRL that openssl can't make names its serial number")
        for id_ in list(found):
            for other in (*self._lineage.ancestors(id_), specs[id_].key.same_as):
                if other in self.wanted:
                    found.setdefault(other, "it signs one of these, or shares a key with one")
        return {id_: found[id_] for id_ in specs if id_ in found}

    def forged_crls(self) -> dict[str, str]:
        """CRLs that the lab makes, and why."""
        reasons = {id_: _forged_crl(self.plan.crls[id_]) for id_ in sorted(self.crls)}
        return {id_: reason for id_, reason in reasons.items() if reason is not None}

    def steps(self, forged: Iterable[str]) -> Iterator[CertificateStep]:
        """The certificates that openssl makes, issuers first."""
        left_out = frozenset(forged)
        for id_, spec in self.plan.certificates.items():
            if id_ in self.wanted and id_ not in left_out:
                yield self._step(id_, spec)

    def _step(self, id_: str, spec: CertificateSpec) -> CertificateStep:
        base = f"pki/{self._names[id_]}"
        locked = self.passphrase(spec.passphrase, id_) if spec.passphrase is not None else None
        own = ["-key", f"{base}.key", *(["-passin", f"file:{locked}"] if locked else [])]
        request = ["-new", "-utf8", *own, "-subj", subject_option(spec.subject), "-out", f"{base}.csr"]
        length = days(spec)
        commands = [
            key_command(spec, f"{base}.key", locked),
            wrapped("openssl req", map(word, request)),
            *(self._signed_from_now(spec, base, own, length) if length is not None else self._signed(spec, base, own)),
        ]
        what, extensions = _what(spec), tuple(extension_lines(spec))
        return CertificateStep(what, base, extensions, tuple(commands), dated=length is None)

    def _signed_from_now(self, spec: CertificateSpec, base: str, own: list[str], length: int) -> Iterator[str]:
        """Valid from now on, for so many days."""
        issuer = self.plan.certificates.get(spec.issuer or "")
        serial = ["-CAcreateserial"] if issuer is not None else []
        if spec.serial:
            serial = ["-set_serial", str(spec.serial)]
        digest = [f"-{spec.signature.hash}"] if spec.signature.hash is not None else []
        options = ["-req", "-in", f"{base}.csr", *(self._issuing(issuer) if issuer is not None else own), *serial]
        options += ["-days", str(length), *digest, "-extfile", f"{base}.ext", "-out", f"{base}.crt"]
        yield wrapped("openssl x509", map(word, options))

    def _signed(self, spec: CertificateSpec, base: str, own: list[str]) -> Iterator[str]:
        """With the dates that are given, to the second."""
        issuer = self.plan.certificates.get(spec.issuer or "")
        signing = self._issuing(issuer) if issuer is not None else ["-selfsign", *own]
        digest = ["-md", spec.signature.hash] if spec.signature.hash is not None else []
        options = ["-batch", "-config", "ca.cnf", "-notext", "-preserveDN", "-in", f"{base}.csr"]
        options += [*_as_ca_calls_it(signing), *digest, "-extfile", f"{base}.ext", "-out", f"{base}.crt"]
        begin, end = int(spec.not_before.offset.total_seconds()), int(spec.not_after.offset.total_seconds())
        dates = [f'-startdate "$(from_now {begin})"', f'-enddate "$(from_now {end})"']
        if spec.serial:
            yield f"echo {spec.serial.to_bytes((spec.serial.bit_length() + 7) // 8).hex()} > serial"
        else:
            yield "openssl rand -hex 16 > serial"
        yield wrapped("openssl ca", [*map(word, options), *dates])

    def _issuing(self, issuer: CertificateSpec) -> list[str]:
        base = f"pki/{self._names[issuer.id]}"
        words = ["-CA", f"{base}.crt", "-CAkey", f"{base}.key"]
        if issuer.passphrase is not None:
            words += ["-passin", f"file:{self.passphrase(issuer.passphrase, issuer.id)}"]
        return words

    def crl_steps(self, forged: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The CRLs that openssl makes: a comment, and commands."""
        left_out = frozenset(forged)
        for id_ in sorted(self.crls - left_out):
            crl = self.plan.crls[id_]
            issuer = self.plan.certificates[crl.issuer]
            signing = _as_ca_calls_it(self._issuing(issuer))
            commands = ["true > index.txt"]
            for revoked in crl.revoked:
                given = self.plan.certificates[revoked].revoked
                why = ["-crl_reason", given.reason.value] if given is not None and given.reason != "unspecified" else []
                options = ["-config", "ca.cnf", *signing, "-revoke", self.certificate(revoked), *why]
                commands.append(wrapped("openssl ca", map(word, options)))
            options = ["-config", "ca.cnf", *signing, "-gencrl", "-out", f"pki/{self._crl_names[id_]}.crl"]
            begin, end = int(crl.this_update.offset.total_seconds()), int(crl.next_update.offset.total_seconds())
            dates = [f'-crl_lastupdate "$(from_now {begin})"', f'-crl_nextupdate "$(from_now {end})"']
            commands.append(wrapped("openssl ca", [*map(word, options), *dates]))
            yield f"CRL {id_}, by {crl.issuer}", tuple(commands)


def _as_ca_calls_it(signing: Sequence[str]) -> list[str]:
    """Options of ``openssl x509`` as ``openssl ca`` has them."""
    return [{"-CA": "-cert", "-CAkey": "-keyfile", "-key": "-keyfile"}.get(option, option) for option in signing]


def _names_a_key(spec: CertificateSpec) -> bool:
    names = spec.authority_key_identifier
    return names is not None and names.key is not None and Defect.NO_KEY_IDENTIFIERS not in spec.defects


def _has_identifier(spec: CertificateSpec) -> bool:
    return spec.subject_key_identifier and not _BARE.intersection(spec.defects)


def _forged_crl(crl: CrlSpec) -> str | None:
    if crl.file is not None:
        return "it is your own"
    if crl.defects:
        return f"it is wrong on purpose ({crl.defects[0]})"
    if crl.delta_of is not None or crl.only_contains is not None or crl.extensions:
        return "it has extensions of its own"
    if crl.authority_key_identifier != AuthorityKeyIdentifier():
        return "its authorityKeyIdentifier is not its issuer's key alone"
    if crl.this_update.absolute is not None or crl.next_update.absolute is not None:
        return "it has absolute dates"
    return None


def _issuer_cannot(spec: CertificateSpec, issuer: CertificateSpec, later: bool) -> str | None:
    if issuer.files is not None:
        return f"{issuer.id}, which is your own, issues it"
    if _NOT_THEIR_OWN.intersection(issuer.defects):
        return f"{issuer.id} comes with another's key"
    return f"{issuer.id} and {spec.id} issue each other" if later else None


def _what(spec: CertificateSpec) -> str:
    kind = "authority" if spec.authority else "leaf"
    return f"{spec.id}: {kind}, {spec.subject or 'no subject'}, " + (
        f"issued by {spec.issuer}" if spec.issuer is not None else "signed by itself"
    )


def is_several(spec: CertificateSpec) -> bool:
    """Whether an authority may be several certificates where it is trusted: a file of the user's, or ``count``."""
    return spec.files is not None or spec.count > 1
