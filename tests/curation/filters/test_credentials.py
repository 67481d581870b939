"""Secrets: each format, what only looks like one, and that no text makes the search slow or fail.

The keys are made up, and put together here so that no scanner of repositories takes them for real ones.
"""

import base64
import json
import random
import string

import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curation.filters import filter_of
from pipeline.curation.filters.credentials import entropy
from pipeline.curation.recipes.steps.privacy import Secrets
from tests.clock import assert_linear_time

DRAW = random.Random(0)
ALPHANUMERIC = string.ascii_letters + string.digits
STEP = Secrets(step="secrets")


def drawn(count: int, letters: str = ALPHANUMERIC) -> str:
    return "".join(DRAW.choices(letters, k=count))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def block(kind: str) -> str:
    body = "\n".join(drawn(64) for _ in range(5))
    return f"-----BEGIN {kind}-----\n{body}\n-----END {kind}-----"


TOKEN = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{encoded({'sub': '1234567890'})}.{drawn(43)}"
KEYS = [
    ("aws_key", "AKIA" + drawn(16, "ABCDEFGHJKLMNPQR234567")),
    ("gcp_key", "AIza" + drawn(35)),
    ("gcp_secret", "GOCSPX-" + drawn(28)),
    ("github_token", "ghp_" + drawn(36)),
    ("github_token", f"github_pat_{drawn(22)}_{drawn(59)}"),
    ("gitlab_token", "glpat-" + drawn(20)),
    ("slack_token", f"xoxb-{drawn(12, string.digits)}-{drawn(24)}"),
    ("slack_webhook", f"T{drawn(9, string.digits)}/B{drawn(9, string.digits)}/{drawn(24)}"),
    ("stripe_key", "sk_live_" + drawn(24)),
    ("json_web_token", TOKEN),
    ("package_token", "pypi-AgE" + drawn(90)),
    ("package_token", "npm_" + drawn(36)),
    ("hub_token", "hf_" + drawn(34)),
    ("sendgrid_key", f"SG.{drawn(22)}.{drawn(43)}"),
    ("digitalocean_token", "dop_v1_" + drawn(64, "0123456789abcdef")),
    ("azure_key", drawn(86) + "=="),
    ("assignment", drawn(32)),
    ("assignment", drawn(40, "0123456789abcdef")),
    ("url_password", "s3cr3t-" + drawn(8)),
]
AROUND = {
    "slack_webhook": "url = 'https://hooks.slack.com/services/{}'",
    "azure_key": "DefaultEndpointsProtocol=https;AccountKey={};EndpointSuffix=core",
    "assignment": '"api_key": "{}",',
    "url_password": "postgresql://admin:{}@db.site.org:5432/base",
}


def judged(text: str, step: Secrets = STEP) -> tuple[str, dict[str, int]]:
    document = Document(text=text, id="0", metadata={"origin": "test"})
    result = filter_of(step)(document)
    return document.text, dict(result.counts)


@pytest.mark.parametrize(("kind", "key"), KEYS, ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(KEYS)])
def test_each_format_is_replaced_in_its_place(kind: str, key: str) -> None:
    code = f"first = 1\n{AROUND.get(kind, 'value = {}')}  # end\n"
    assert judged(code.format(key)) == (code.format("<KEY>"), {kind: 1})


@pytest.mark.parametrize(
    "kind", ["RSA PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "PGP PRIVATE KEY BLOCK"]
)
def test_the_body_of_a_private_key_is_replaced(kind: str) -> None:
    text, counts = judged(f"key = '''{block(kind)}'''\n")
    assert (text, counts) == (f"key = '''-----BEGIN {kind}-----<KEY>-----END {kind}-----'''\n", {"private_key": 1})


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        block("PUBLIC KEY"),
        block("CERTIFICATE"),
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "x" * 36,
        "github_token = os.environ['GITHUB_TOKEN_FOR_RELEASES_2']",
        "password = 'correct horse battery'",
        "password: 'password1234'",
        "token = 'xxxxxxxxxxxxxxxxxxxx1'",
        "secret_name = 'my-secret-in-the-vault'",
        "api_key = 'YOUR_API_KEY_GOES_HERE_1'",
        "api_key='${API_KEY_OF_SERVICE_1}'",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "http://localhost:8080@x and http://user:password@host",
        "eyJhbGciOiJI.eyJub3Qi." + "a" * 30,
        "pk_live_" + drawn(24),
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert judged(text) == (text, {})


def test_files_of_environment_variables() -> None:
    key = drawn(32)
    text = f"DEBUG=1\nexport SERVICE_API_KEY={key}\nNAME=SECRET_KEY\n"
    assert judged(text) == (text.replace(key, "<KEY>"), {"assignment": 1})
    for line in ("API_KEY=$OTHER_KEY_OF_SERVICE_1", "TOKEN_COUNT=1000000000000000000", f"api_key = {key}"):
        assert judged(line) == (line, {})


def test_a_key_inside_json_is_replaced() -> None:
    escaped = json.dumps({"private_key": block("PRIVATE KEY") + "\n"})
    text, counts = judged(escaped)
    assert counts == {"private_key": 1}
    assert json.loads(text)["private_key"] == "-----BEGIN PRIVATE KEY-----<KEY>-----END PRIVATE KEY-----\n"


def test_actions() -> None:
    aws, assigned = f"k = {KEYS[0][1]}", f"secret = '{drawn(40)}'"
    refusing = Secrets(step="secrets", formats="remove_document", assignments="off")
    document = Document(text=aws, id="0", metadata={"origin": "test"})
    result = filter_of(refusing)(document)
    assert result.removal is not None
    assert (result.removal.reason, result.removal.value, document.text) == ("secrets_aws_key", 1, aws)
    assert judged(assigned, refusing) == (assigned, {})
    assert judged(assigned, Secrets(step="secrets", minimum_entropy=8)) == (assigned, {})


def test_entropy() -> None:
    assert (entropy(""), entropy("aaaa"), entropy("abab"), entropy("abcdefgh")) == (0, 0, 1, 3)


PIECES = st.sampled_from(
    ["-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "eyJ", ".", "AKIA", "secret='", "'"]
)


@given(st.lists(PIECES | st.text(max_size=20), max_size=12))
def test_total(pieces: list[str]) -> None:
    text, counts = judged("".join(pieces))
    assert counts or text == "".join(pieces)


HOSTILE = [
    "-----BEGIN RSA PRIVATE KEY-----" * 32_000,
    "-----BEGIN PRIVATE KEY-----" + "a" * 10**6,
    "-" * 10**6,
    "eyJa" * 250_000,
    "eyJaaaaaaaaaaa." * 66_000,
    "password" * 125_000,
    "secret='" * 125_000,
    "secret" + " " * 10**6,
    "token" + "-" * 10**6,
    "api_key='" + "a" * 10**6,
    "://a:" * 200_000,
    "://" + "a" * 10**6,
    "xoxb-" * 200_000,
    "SG." * 330_000,
    "AKIA" * 250_000,
    "sk_live_" * 125_000,
    "hooks.slack.com/services/T" * 40_000,
    "KEY" * 330_000,
    "API_KEY=\n" * 110_000,
    "\nKEY=" + "a" * 10**6,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_hostile_text_takes_linear_time(text: str) -> None:
    assert_linear_time(judged, text, cpu_seconds=5)
