"""The filter on secrets: keys and tokens in the formats of their providers, and random values under telling names.

The patterns are our own because detect-secrets takes quadratic time on a long line in its search for keywords, and
gives lines where a replacement needs spans. A text is searched only for formats whose fixed part it contains, and every
repetition is bounded and begins where the one before cannot go on, so that matching takes linear time.
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
from pipeline.curation.filters.redaction import SensitiveKind, redaction_filter
from pipeline.curation.recipes.steps.privacy import Redaction, Secrets
from pipeline.curation.text.normalized_words import Span

MINIMUM_KEY_ENTROPY = 2.5
"""Bits per character, below which the characters after a provider's prefix are a placeholder such as `xxxx`."""
_PLACEHOLDER = re.compile(
    r"example|placeholder|your|changeme|change_me|dummy|sample|redacted|x{4}|\*{3}|0{8}|12345678", re.I
)


def entropy(text: str) -> float:
    """Shannon entropy of a text's characters in bits per character; 0 for an empty text."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts) if text else 0.0


def _is_random(secret: str) -> bool:
    return not _PLACEHOLDER.search(secret) and entropy(secret) >= MINIMUM_KEY_ENTROPY


def _is_key_body(secret: str) -> bool:
    # Placeholder words are not looked for: a body is long enough to spell one by chance.
    return entropy(secret) >= MINIMUM_KEY_ENTROPY


def _is_json_web_token(secret: str) -> bool:
    """Whether the first part decodes to a header that says how the token is signed (RFC 7515, section 4.1.1)."""
    head = secret.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


@dataclass(frozen=True, slots=True)
class SecretFormat:
    """How a provider's secrets are recognized."""

    kind: str
    fixed_parts: tuple[str, ...]
    """Strings of which every secret of this format contains one."""
    pattern: re.Pattern[str]
    """Its last group is the secret, or the whole match if it has no group."""
    is_valid: Callable[[str], bool] = _is_random
    """Confirms a match."""


FORMATS = (
    # RFC 7468, and OpenSSH's and OpenPGP's blocks. Without a body it is only the name of a format.
    SecretFormat(
        "private_key",
        ("PRIVATE KEY",),
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----((?:[^-]|-(?!-)){64,20000})"
            r"-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        ),
        _is_key_body,
    ),
    # AWS, IAM identifiers: prefix and 16 characters of base32.
    SecretFormat("aws_key", ("AKIA", "ASIA"), re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])")),
    # Google Cloud, API keys, and OAuth client secrets.
    SecretFormat("gcp_key", ("AIza",), re.compile(r"(?<![\w-])AIza[\w-]{35}(?![\w-])", re.ASCII)),
    SecretFormat("gcp_secret", ("GOCSPX-",), re.compile(r"(?<![\w-])GOCSPX-[\w-]{28}(?![\w-])", re.ASCII)),
    # GitHub, "About authentication": tokens by prefix.
    SecretFormat(
        "github_token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        re.compile(r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}(?![A-Za-z0-9])"),
    ),
    SecretFormat("github_token", ("github_pat_",), re.compile(r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b")),
    # GitLab, "Token overview": personal, deploy, trigger and runner tokens.
    SecretFormat(
        "gitlab_token",
        ("glpat-", "gldt-", "glptt-", "glrt-", "glcbt-"),
        re.compile(r"(?<![\w-])gl(?:pat|dt|ptt|rt|cbt)-[\w-]{20,300}(?![\w-])", re.ASCII),
    ),
    # Slack, "Token types" and "Incoming webhooks".
    SecretFormat("slack_token", ("xox",), re.compile(r"(?<![\w-])xox[abeoprs]-[0-9A-Za-z-]{10,250}(?![\w-])")),
    SecretFormat(
        "slack_webhook",
        ("hooks.slack.com",),
        re.compile(r"hooks\.slack\.com/services/(T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{24})\b"),
    ),
    # Stripe, "API keys": secret and restricted keys; publishable ones are no secret.
    SecretFormat(
        "stripe_key", ("k_live_", "k_test_"), re.compile(r"(?<!\w)[sr]k_(?:live|test)_[0-9A-Za-z]{16,247}(?!\w)")
    ),
    # RFC 7519: header and claims are JSON objects, which begin with `{"`.
    SecretFormat(
        "json_web_token",
        ("eyJ",),
        re.compile(r"(?<![\w.-])eyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{20,1000}(?![\w-])", re.ASCII),
        _is_json_web_token,
    ),
    # The registries of Python's and Node's packages; Hugging Face's hub.
    SecretFormat("package_token", ("pypi-AgE",), re.compile(r"(?<![\w-])pypi-AgE[\w-]{50,1000}(?![\w-])", re.ASCII)),
    SecretFormat("package_token", ("npm_",), re.compile(r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)")),
    SecretFormat("hub_token", ("hf_",), re.compile(r"(?<!\w)hf_[A-Za-z0-9]{34}(?!\w)")),
    # SendGrid, DigitalOcean, and Azure's storage connection strings.
    SecretFormat("sendgrid_key", ("SG.",), re.compile(r"(?<![\w.-])SG\.[\w-]{22}\.[\w-]{43}(?![\w-])", re.ASCII)),
    SecretFormat(
        "digitalocean_token", ("dop_v1_", "doo_v1_", "dor_v1_"), re.compile(r"(?<!\w)do[opr]_v1_[a-f0-9]{64}(?!\w)")
    ),
    SecretFormat("azure_key", ("AccountKey=",), re.compile(r"AccountKey=([A-Za-z0-9+/]{86}==)")),
)
"""Formats of secrets as their providers document them."""

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
"""A line in a file of environment variables: a name in capitals, and a value without quotes."""
_URL_PASSWORD = re.compile(r"://[^\s:/@\"'<>{}$]{1,64}:([^\s:/@\"'<>{}$]{6,64})@[A-Za-z0-9]", re.ASCII)
"""User and password before the host of a URL (RFC 3986, 3.2.1)."""


def secrets_filter(step: Secrets) -> DocumentFilter:
    """Replaces secrets, or rejects documents that hold one, as the step says."""
    formats, assignments = (Redaction(replacement=step.replacement, action=a) for a in (step.formats, step.assignments))
    kinds = [SensitiveKind(each.kind, partial(_find_format, each), formats) for each in FORMATS]
    kinds.append(SensitiveKind("url_password", _url_passwords, assignments))
    kinds.append(SensitiveKind("assignment", partial(assigned_secrets, minimum=step.minimum_entropy), assignments))
    return redaction_filter("secrets", kinds)


def _find_format(secret_format: SecretFormat, text: str) -> Iterator[Span]:
    if any(part in text for part in secret_format.fixed_parts):
        for match in secret_format.pattern.finditer(text):
            secret = match.group(match.re.groups)
            if secret_format.is_valid(secret):
                yield match.span(match.re.groups)


def _url_passwords(text: str) -> Iterator[Span]:
    for match in _URL_PASSWORD.finditer(text):
        if any(map(str.isdigit, match.group(1))) and _is_random(match.group(1)):
            yield match.span(1)


def assigned_secrets(text: str, minimum: float) -> Iterator[Span]:
    """Spans of values that are assigned to a name such as `api_key` and look random.

    Args:
        text: code or configuration.
        minimum: least entropy of such a value, in bits per character. It must also have a letter and a digit.
    """
    for match in chain(_ASSIGNMENT.finditer(text), _ENVIRONMENT.finditer(text)):
        value = match.group(1)
        mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        if mixed and entropy(value) >= minimum and not _PLACEHOLDER.search(value):
            yield match.span(1)
