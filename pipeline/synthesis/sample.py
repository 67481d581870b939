"""A synthesized text with the way in which it was checked, and the filter that all samples pass."""

from dataclasses import dataclass

from datatrove.data import Document

from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.text.documents import content_id
from pipeline.environments import split_of

VERIFIED = "verified"
"""Step of the audit that removes samples whose check failed."""
HELD_OUT_PROMPTS = "held_out_prompts"
"""Step of the audit that removes samples with a prompt that is kept for evaluation."""


@dataclass(frozen=True)
class Sample:
    """A text for one domain of the training data, checked; or one whose check failed, with the reason."""

    domain: str
    origin: str
    """What it was made from, e.g. a module's name or a prompt with the id of its seed document."""
    text: str
    method: str
    """How the answer was verified: `executed`, `computed twice`, `graded`, or what it was held against."""
    prompts: tuple[str, ...] = ()
    """Questions in the text. None of them may be held out for evaluation."""
    failure: str | None = None
    """Why the check failed, or None if it did not."""
    value: float | None = None
    """What was measured, where the failure is a number."""
    threshold: float | None = None
    """The limit that the number is beyond."""

    def document(self) -> Document:
        """The sample as a datatrove document, whose id is the hash of its text."""
        metadata = {"source": "synthesize", "origin": self.origin, "verified": self.method}
        return Document(text=self.text, id=content_id(self.text), metadata=metadata)


def filter_sample(sample: Sample, audit: AuditLog) -> Document | None:
    """The document of a sample, or None if its check failed or it has a held-out prompt; the audit counts either."""
    document = sample.document()
    if sample.failure is not None:
        audit.remove(VERIFIED, document, Removal(reason=sample.failure, value=sample.value, threshold=sample.threshold))
        return None
    audit.keep(VERIFIED, len(document.text), len(document.text))
    if any(split_of(prompt) == "held_out" for prompt in sample.prompts):
        audit.remove(HELD_OUT_PROMPTS, document, Removal(reason="held_out_prompt"))
        return None
    audit.keep(HELD_OUT_PROMPTS, len(document.text), len(document.text))
    return document
