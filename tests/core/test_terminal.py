"""Text on a terminal: aligned columns, and nothing that the terminal would obey."""

from pipeline.core.terminal import one_line, text_table


def test_a_table_has_aligned_columns_and_no_space_at_line_ends() -> None:
    rows = [("name", "seconds", "note"), ("a", "1.0", "long note"), ("bcdefg", "1,000.0", "")]
    assert text_table(rows, right=(1,), rule=True) == [
        "name    seconds  note",
        "──────  ───────  ─────────",
        "a           1.0  long note",
        "bcdefg  1,000.0",
    ]
    assert text_table(rows[1:]) == ["a       1.0      long note", "bcdefg  1,000.0"]
    assert text_table([], rule=True) == []


def test_one_line_escapes_and_cuts() -> None:
    assert one_line("plain") == "plain"
    assert one_line("x" * 9, width=5) == "xxxxx…"
    assert one_line("a\nb\x1b[2J") == r"a\nb\x1b[2J"
