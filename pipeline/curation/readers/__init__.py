"""Readers turn the sources that a recipe names into a stream of datatrove documents.

`readers.list_items` names what a source consists of (files, modules, numbers of generated documents), `readers.read`
gives the documents of some of these items. `sources` has a dataclass for each kind of source, `source_files` checks and
describes sources without reading them. Records that cannot be read come along as documents that say why
(`bad_records`), so that one bad line costs no file and a damaged file costs no run.
"""
