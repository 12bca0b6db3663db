"""With what a result is signed: the user's own certificate, or one made on the spot, which nobody knows.

As C2PA's certificate profile wants it (C2PA specification 2.4, 14.5.1).
"""

import datetime
import os
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lipgan_colab.errors import InputError, reason_of

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

CERTIFICATE, KEY = "LIPGAN_SIGN_CERT", "LIPGAN_SIGN_KEY"  # environment variables that name one's own
TIME_STAMPS = "LIPGAN_SIGN_TSA"  # and the address of a time stamp authority, which is asked over the network
MADE_ON_THE_SPOT = "made on the spot, unknown to the world"  # what such a certificate calls itself
AUTHORITY = "authority of one session"
YEARS = 30  # that one made on the spot is good for: nobody could renew it
MOST_BYTES = 1 << 20  # of a file of certificates, or of a key
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True)
class Signature:
    """With what is signed.

    Attributes:
        chain: certificates as PEM, the signer's first.
        key: the private key that belongs to it (PKCS 8, PEM).
        algorithm: C2PA's name for how it signs, such as es256.
        own: whether it is the user's, rather than made on the spot.
        time_stamps: address of a time stamp authority (RFC 3161); None asks nobody.
    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str
    own: bool
    time_stamps: str | None = None


def signature() -> Signature:
    """The user's own, where the environment names it; else one made on the spot.

    Raises:
        InputError: the user's cannot be used; why, and what to do.
        ImportError: the package cryptography is not here.
    """
    certificate, key = os.environ.get(CERTIFICATE), os.environ.get(KEY)
    if certificate and key:
        return own_signature(certificate, key, os.environ.get(TIME_STAMPS) or None)
    if certificate or key:
        raise InputError(f"{CERTIFICATE} and {KEY} belong together; {KEY if certificate else CERTIFICATE} is not set")
    return made_on_the_spot()


def own_signature(certificate: str | Path, key: str | Path, time_stamps: str | None = None) -> Signature:
    """A certificate and its key, of files.

    Args:
        certificate: PEM: the signer's certificate, and behind it those that vouch for it.
        key: PEM: its private key, without a passphrase.
        time_stamps: address of a time stamp authority, which is asked whenever something is signed.

    Raises:
        InputError: a file is missing, no PEM, they do not belong together, or the certificate is not good for this.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    content = _content(certificate, "a certificate")
    try:
        with warnings.catch_warnings(action="ignore"):
            chain = x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise InputError(f"{certificate}: this is no certificate as PEM ({reason_of(error)})") from error
    try:
        private = serialization.load_pem_private_key(_content(key, "a private key"), None)
    except TypeError as error:  # cryptography's way to say so
        raise InputError(f"{key}: this key has a passphrase; give one without (openssl pkey)") from error
    except Exception as error:  # ValueError, and its own of kinds that it does not know
        raise InputError(f"{key}: this is no private key as PEM ({reason_of(error)})") from error
    if private.public_key() != chain[0].public_key():
        raise InputError(f"{key}: this is not the key of the first certificate in {certificate}")
    _check_good(certificate, chain[0])
    return Signature(content, _pkcs8(private), _algorithm(key, private), own=True, time_stamps=time_stamps)


@cache
def made_on_the_spot() -> Signature:
    """A signature with a key that nobody has, and an authority's of its own, which forgets its key at once.

    It lasts as long as the process, and is written nowhere.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(what: str) -> "x509.Name":
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "lipgan_colab")
        return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, what)])

    def usage(**granted: bool) -> "x509.KeyUsage":
        kinds = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
        others = dict.fromkeys((*kinds, "digital_signature", "key_cert_sign", "encipher_only", "decipher_only"), False)
        return x509.KeyUsage(**others | granted)

    def begun(subject: str, key: ec.EllipticCurvePrivateKey, ca: bool) -> "x509.CertificateBuilder":
        builder = x509.CertificateBuilder(name(AUTHORITY), name(subject))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))  # clocks differ
        builder = builder.not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        builder = builder.add_extension(x509.BasicConstraints(ca, 0 if ca else None), critical=True)
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)

    now = datetime.datetime.now(datetime.UTC)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = begun(AUTHORITY, root_key, ca=True)
    root = root.add_extension(usage(key_cert_sign=True, crl_sign=True), critical=True)
    leaf = begun(MADE_ON_THE_SPOT, key, ca=False)
    leaf = leaf.add_extension(usage(digital_signature=True), critical=True)
    leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    leaf = leaf.add_extension(authority, critical=False)
    chain = b"".join(_pem(builder.sign(root_key, hashes.SHA256())) for builder in (leaf, root))
    return Signature(chain, _pkcs8(key), "es256", own=False)


def _content(path: str | Path, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise InputError(f"{path}: {what} cannot be read from here ({reason_of(error)})") from error


def _check_good(path: str | Path, certificate: "x509.Certificate") -> None:
    """Raises InputError where C2PA's certificate profile refuses a certificate, so that it is known before the work."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    now = datetime.datetime.now(datetime.UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        until = f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise InputError(f"{path}: this certificate is good from {until} only")
    if certificate.subject == certificate.issuer:
        raise InputError(f"{path}: this certificate is signed by itself, which C2PA does not allow; let a CA sign it")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError) as error:
        raise InputError(f"{path}: this certificate does not say what it is for, as C2PA wants") from error
    if not usage.digital_signature or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes:
        raise InputError(f"{path}: this certificate is not for signing documents, as C2PA wants")


def _algorithm(path: str | Path, key: "PrivateKeyTypes") -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    raise InputError(f"{path}: C2PA does not sign with this kind of key; take P-256, P-384, P-521, Ed25519 or RSA")


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _pkcs8(key: "PrivateKeyTypes") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
