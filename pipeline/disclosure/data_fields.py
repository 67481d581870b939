"""The disclosure of model and data in the form of IBM's (ibm-granite/granite-4.1-language-models, `disclosures/`)."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.artifact import Artifact
from pipeline.disclosure.config import DiscloseConfig
from pipeline.disclosure.evidence import NOT_KNOWN, Evidence
from pipeline.release.lineage import disclosures

FIELDS = (
    "name", "url", "date_obtained", "description", "size_MB", "languages", "type", "source", "data_provenance",
    "user_data", "synthetic", "seed_data",
)  # fmt: skip
"""The fields of a data set, in IBM's order."""
OWN_FIELDS = ("licence", "documents")
"""What is said of a data set besides."""
PRETRAINING_KINDS = ("curate", "synthesize", "import_tokens", "import_model")
"""Kinds of the stages whose data are of IBM's part "pre-training"; those of all others are of "post-training"."""
SHAPE = {
    "layers": "num_hidden_layers",
    "attention_heads": "num_attention_heads",
    "attention_head_dim": "head_dim",
    "KV_heads": "num_key_value_heads",
}
"""IBM's names of a model's sizes, by those of its config.json."""


def data_fields(evidence: Evidence, config: DiscloseConfig) -> dict[str, Any]:
    """The disclosure as it goes into JSON: the model, then data sets by part of training and domain."""
    shape = evidence.architecture
    found: dict[str, Any] = {
        "model": {
            "name": evidence.name,
            "developer": config.provider or NOT_KNOWN,
            "parameter_count": NOT_KNOWN if evidence.parameters is None else evidence.parameters,
            "architecture": {
                "transformer_class": next(iter(shape.get("architectures") or []), NOT_KNOWN),
                **{ours: shape.get(key, NOT_KNOWN) for ours, key in SHAPE.items()},
            },
            "license": {"type": evidence.license or NOT_KNOWN},
        }
    }
    for each in evidence.made_by:
        for dataset in disclosures([each]):
            part = found.setdefault(_part(each), {"methods": []})
            domain = dataset.get("domain") or NOT_KNOWN
            method = next((method for method in part["methods"] if method["category"] == domain), None)
            if method is None:
                method = {"category": domain, "datasets": []}
                part["methods"].append(method)
            method["datasets"].append(_dataset(dataset))
    return {"disclosures": found}


def _part(stage: Artifact) -> str:
    return "pre-training" if stage.manifest.kind in PRETRAINING_KINDS else "post-training"


def _dataset(source: Mapping[str, Any]) -> dict[str, Any]:
    said = {key: _said(source.get(key)) for key in (*FIELDS, *OWN_FIELDS)}
    if source.get("seed_data") is None and source.get("synthetic") == "no":
        said["seed_data"] = "no"
    return said


def _said(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or NOT_KNOWN
    return NOT_KNOWN if value in (None, "") else value
