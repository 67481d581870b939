"""One synthesized text and how it was verified."""

from dataclasses import dataclass

from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.text.documents import content_id
from pipeline.environments import split_of

CHECKED = "verified"
HELD_OUT = "held_out_prompts"


@dataclass(frozen=True)
class Sample:
    """A text of one domain, or one that failed its check."""

    domain: str
    origin: str
    """What it was made from."""
    text: str
    method: str
    """How the answer was verified: `executed`, `computed twice`, `graded`, or what it was held against."""
    prompts: tuple[str, ...] = ()
    """Questions in the text, none of which may be held out for evaluation."""
    failure: str | None = None
    """Why the check failed, if it did."""
    value: float | None = None
    """What was measured, where the failure is a number."""
    threshold: float | None = None
    """The limit that the number passed."""

    def document(self) -> Document:
        """As it is stored."""
        metadata = {"source": "synthesize", "origin": self.origin, "verified": self.method}
        return Document(text=self.text, id=content_id(self.text), metadata=metadata)


def filter_sample(sample: Sample, audit: AuditLog) -> Document | None:
    """The document of a sample, unless its check failed or it holds a held-out question."""
    document = sample.document()
    if sample.failure is not None:
        audit.remove(CHECKED, document, Removal(reason=sample.failure, value=sample.value, threshold=sample.threshold))
        return None
    audit.keep(CHECKED, len(document.text), len(document.text))
    if any(split_of(prompt) == "held_out" for prompt in sample.prompts):
        audit.remove(HELD_OUT, document, Removal(reason="held_out_prompt"))
        return None
    audit.keep(HELD_OUT, len(document.text), len(document.text))
    return document
