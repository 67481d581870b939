"""What a step looks at."""

from typing import Literal

Scope = Literal["page", "document", "domain"]
"""A page with its markup, one document's text, or all documents of a domain. Steps of a recipe come in this order."""
