"""What the rest of curation needs to know of a text: its encoding, its words, its language, and how it is stored.

`documents` reads and writes the JSON lines that stages exchange, and defines a document's id. `charsets` decodes the
bytes of a page, `language_id` names the language of a text, `vocabulary` and `english_words` divide a text into the
words of datatrove's tokenizers for filters, `normalized_words` into words that are compared across texts.
"""
