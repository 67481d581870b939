"""Keys, tokens and passwords: what providers say theirs look like, and random values assigned to telling names.

Own patterns rather than detect-secrets: its search by keywords takes quadratic time on one long line, and it gives
lines where a replacement needs places. A text is searched only for formats whose fixed part it holds, and every
repetition is bounded and begins where the one before cannot go on.
"""

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.filters.redaction import Sensitive, Span, redaction_filter
from pipeline.curation.recipes.steps import Secrets
from pipeline.curation.recipes.steps.privacy import Redaction

MINIMUM_KEY_ENTROPY = 2.5
"""Bits per character. Below it, the characters after a provider's prefix are a placeholder such as `xxxx`."""
_PLACEHOLDER = re.compile(
    r"example|placeholder|your|changeme|change_me|dummy|sample|redacted|x{4}|\*{3}|0{8}|12345678", re.I
)


def entropy(text: str) -> float:
    """Shannon's entropy of a text's characters, in bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) if text else 0.0


def _random(secret: str) -> bool:
    return not _PLACEHOLDER.search(secret) and entropy(secret) >= MINIMUM_KEY_ENTROPY


def _dense(secret: str) -> bool:
    # A body is long enough to spell a placeholder's word by chance.
    return entropy(secret) >= MINIMUM_KEY_ENTROPY


def _is_token(secret: str) -> bool:
    """Whether the first part of a JSON web token says how it is signed (RFC 7515, section 4.1.1)."""
    head = secret.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


@dataclass(frozen=True, slots=True)
class Format:
    """What one kind of secret looks like."""

    kind: str
    needles: tuple[str, ...]
    """A text without any of these has none."""
    pattern: re.Pattern[str]
    """Its first group is the secret; without groups, the whole match is."""
    confirm: Callable[[str], bool] = _random


FORMATS = (
    # RFC 7468, and OpenSSH's and OpenPGP's blocks. Without a body it is only the name of a format.
    Format(
        "private_key",
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----((?:[^-]|-(?!-)){64,20000})"
            r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        ),
        _dense,
    ),
    # AWS, IAM identifiers: prefix and 16 characters of base32.
    Format("aws_key", ("AKIA", "ASIA"), re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])")),
    # Google Cloud, API keys, and OAuth client secrets.
    Format("gcp_key", ("AIza",), re.compile(r"(?<![\w-])AIza[\w-]{35}(?![\w-])", re.ASCII)),
    Format("gcp_secret", ("GOCSPX-",), re.compile(r"(?<![\w-])GOCSPX-[\w-]{28}(?![\w-])", re.ASCII)),
    # GitHub, "About authentication": tokens by prefix.
    Format(
        "github_token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        re.compile(r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9])"),
    ),
    Format("github_token", ("github_pat_",), re.compile(r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b")),
    # GitLab, "Token overview": personal, deploy, trigger and runner tokens.
    Format(
        "gitlab_token",
        ("glpat-", "gldt-", "glptt-", "glrt-", "glcbt-"),
        re.compile(r"(?<![\w-])gl(?:pat|dt|ptt|rt|cbt)-[\w-]{20,300}(?![\w-])", re.ASCII),
    ),
    # Slack, "Token types" and "Incoming webhooks".
    Format("slack_token", ("xox",), re.compile(r"(?<![\w-])xox[abeoprs]-[0-9A-Za-z-]{10,250}(?![\w-])")),
    Format(
        "slack_webhook",
        ("hooks.slack.com",),
        re.compile(r"hooks\.slack\.com/services/(T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24})\b"),
    ),
    # Stripe, "API keys": secret and restricted keys; publishable ones are no secret.
    Format("stripe_key", ("k_live_", "k_test_"), re.compile(r"(?<!\w)[sr]k_(?:live|test)_[0-9A-Za-z]{16,247}(?!\w)")),
    # RFC 7519: header and claims are JSON objects, which begin with `{"`.
    Format(
        "json_web_token",
        ("eyJ",),
        re.compile(r"(?<![\w.-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{20,1000}(?![\w-])", re.ASCII),
        _is_token,
    ),
    # The registries of Python's and Node's packages; Hugging Face's hub.
    Format("package_token", ("pypi-AgE",), re.compile(r"(?<![\w-])pypi-AgE[\w-]{50,1000}(?![\w-])", re.ASCII)),
    Format("package_token", ("npm_",), re.compile(r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)")),
    Format("hub_token", ("hf_",), re.compile(r"(?<!\w)hf_[A-Za-z0-9]{34}(?!\w)")),
    # SendGrid, DigitalOcean, and Azure's storage connection strings.
    Format("sendgrid_key", ("SG.",), re.compile(r"(?<![\w.-])SG\.[\w-]{22}\.[\w-]{43}(?![\w-])", re.ASCII)),
    Format(
        "digitalocean_token", ("dop_v1_", "doo_v1_", "dor_v1_"), re.compile(r"(?<!\w)do[opr]_v1_[a-f0-9]{64}(?!\w)")
    ),
    Format("azure_key", ("AccountKey=",), re.compile(r"AccountKey=([A-Za-z0-9+/]{86}==)")),
)
"""Formats as their issuers document them."""

_ASSIGNMENT = re.compile(
    r"(?:api[_-]?key|access[_-]?key|auth[_-]?key|account[_-]?key|private[_-]?key|secret|token|passw(?:or)?d|passphrase)"
    r"[\w-]{0,24}[\"']?[ \t]{0,4}(?:=>|:=|=|:)[ \t]{0,4}[\"']([A-Za-z0-9+/=_.~!@#$%^&*-]{16,200})[\"']",
    re.IGNORECASE | re.ASCII,
)
_ENVIRONMENT = re.compile(
    r"^(?:export )?[A-Z0-9_]{0,40}(?:KEY|SECRET|TOKEN|PASSWORD|PASSWD)[A-Z0-9_]{0,24}="
    r"([^\s\"'$<>{}()]{16,200})[ \t]{0,4}$",
    re.MULTILINE | re.ASCII,
)
"""A line of a file of environment variables: a name in capitals, no space, no quotes."""
_URL_PASSWORD = re.compile(r"://[^\s:/@\"'<>{}$]{1,64}:([^\s:/@\"'<>{}$]{6,64})@[A-Za-z0-9]", re.ASCII)
"""RFC 3986, 3.2.1: user and password before the host."""


def secrets_filter(step: Secrets) -> DocumentFilter:
    """Replaces secrets, or refuses documents that hold one."""
    formats, assignments = (Redaction(replacement=step.replacement, action=a) for a in (step.formats, step.assignments))
    kinds = [Sensitive(each.kind, partial(_found, each), formats) for each in FORMATS]
    kinds.append(Sensitive("url_password", _url_passwords, assignments))
    kinds.append(Sensitive("assignment", partial(assigned, minimum=step.minimum_entropy), assignments))
    return redaction_filter("secrets", kinds)


def _found(format: Format, text: str) -> Iterator[Span]:
    if any(needle in text for needle in format.needles):
        for match in format.pattern.finditer(text):
            secret = match.group(match.re.groups)
            if format.confirm(secret):
                yield match.span(match.re.groups)


def _url_passwords(text: str) -> Iterator[Span]:
    for match in _URL_PASSWORD.finditer(text):
        if any(map(str.isdigit, match.group(1))) and _random(match.group(1)):
            yield match.span(1)


def assigned(text: str, minimum: float) -> Iterator[Span]:
    """Values with letters and digits, as random as `minimum` bits per character, under a telling name."""
    for match in chain(_ASSIGNMENT.finditer(text), _ENVIRONMENT.finditer(text)):
        value = match.group(1)
        mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        if mixed and entropy(value) >= minimum and not _PLACEHOLDER.search(value):
            yield match.span(1)
