"""From raw sources to documents: recipes, extraction, language, filters, deduplication, synthesis."""
