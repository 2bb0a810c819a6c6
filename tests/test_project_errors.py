"""Exit codes, and how many offenders a message names."""

from __future__ import annotations

from project.errors import EXIT_CODES, LeadError, name_some


def test_every_error_has_a_documented_exit_code_of_its_own() -> None:
    codes = {kind.__name__: kind.exit_code for kind in LeadError.__subclasses__()}
    assert codes == {
        "SettingsError": 2,
        "NotEnoughDataError": 3,
        "QualityGateError": 4,
        "SchemaError": 5,
        "ArtefactError": 6,
        "LockHeldError": 7,
        "StorageError": 8,
    }
    assert set(codes.values()) < set(EXIT_CODES)


def test_at_most_five_offenders_are_named() -> None:
    assert name_some("abcde") == "a, b, c, d, e"
    assert name_some("abcdef") == "a, b, c, d, e and 1 more"
    assert name_some([]) == ""
