"""Texts in capitals are in the language that they are in."""

import pytest

from pipeline.curation.text.language_id import identify

SENTENCES = {
    "en": "The quick brown fox jumps over the lazy dog and goes home.",
    "de": "Der Hund und der Kater sitzen vor der Tür und warten auf die Leute.",
    "fr": "Le chien et le chat sont assis devant la porte de la maison.",
    "es": "El perro y el gato están sentados delante de la puerta de la casa.",
    "pt": "O cão e o gato estão sentados em frente à porta da casa.",
    "ru": "Собака и кошка сидят перед дверью дома и ждут людей.",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_text_in_capitals(language: str) -> None:
    as_written, in_capitals = identify(SENTENCES[language]), identify(SENTENCES[language].upper())
    assert (as_written[0], in_capitals[0]) == (language, language)
    assert in_capitals[1] >= 0.65


def test_scripts_without_capitals_and_texts_with_few() -> None:
    assert identify("日本語の文章です")[0] == "ja"
    assert identify("NASA and ESA sent a probe to the moon of a planet.") != identify(
        "nasa and esa sent a probe to the moon of a planet."
    )
    assert identify("")[1] < 0.65
