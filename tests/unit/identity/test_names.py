import pytest

from kapok.errors import InvalidInput
from kapok.identity.names import PartyName, PartyPattern, Role


def test_text_form_and_back() -> None:
    name = PartyName("kapok.test", "St.Mary_s", Role.ANALYST, "ada-1")
    assert str(name) == "spiffe://kapok.test/org/St.Mary_s/analyst/ada-1"
    assert PartyName.parse(str(name)) == name
    assert name.organisation_id == "spiffe://kapok.test/org/St.Mary_s"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://kapok.test",
        "spiffe://Kapok.test/org/a/node/b",
        "spiffe://kapok.test/org/a/node/b/",
        "spiffe://kapok.test/org/a/node/b/c",
        "spiffe://kapok.test/org/a/chief/b",
        "spiffe://kapok.test/org//node/b",
        "spiffe://kapok.test/org/a/node/..",
        "spiffe://kapok.test/org/a%2f/node/b",
        "spiffe://kapok.test/org/a/node/b\n",
        "spiffe://kapok.test/org/a/node/" + "b" * 64,
        "spiffe://kapok.test/organisation/a/node/b",
        "https://kapok.test/org/a/node/b",
    ],
)
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        PartyName.parse(text)
    assert caught.value.code == "bad_party_name"


def test_patterns_cover_whole_segments_only() -> None:
    name = PartyName.parse("spiffe://kapok.test/org/a/analyst/ada")
    assert PartyPattern(str(name)).matches(name)
    assert PartyPattern("spiffe://kapok.test/org/*/analyst/*").matches(name)
    assert PartyPattern("spiffe://kapok.test/org/*/analyst/*").role is Role.ANALYST
    assert PartyPattern("spiffe://kapok.test/org/*/analyst/*").trust_domain == "kapok.test"
    assert not PartyPattern("spiffe://kapok.test/org/*/node/*").matches(name)
    assert not PartyPattern("spiffe://other.test/org/*/analyst/*").matches(name)
    for text in ("spiffe://*/org/a/analyst/ada", "org/a/analyst/ada", "org/*/analyst/*"):
        pattern = PartyPattern(text)
        assert pattern.matches(name)
        assert pattern.matches(PartyName.parse("spiffe://other.test/org/a/analyst/ada"))
        assert (pattern.trust_domain, pattern.role) == ("*", Role.ANALYST)
        assert not PartyPattern(str(name)).covers(pattern)
    assert PartyPattern("org/a/analyst/*").text == "spiffe://*/org/a/analyst/*"
    assert PartyPattern("org/a/analyst/*").organisation == "a"
    for text in (
        "spiffe://kapok.test/org/a*/analyst/ada",
        "spiffe://kapok.*/org/a/analyst/ada",
        "*",
        "org/a/analyst",
        "org/a/*/ada",
    ):
        with pytest.raises(InvalidInput):
            PartyPattern(text)


def test_a_pattern_covers_what_is_no_wider() -> None:
    one, all_of_a, anybody = (
        PartyPattern(f"spiffe://kapok.test/org/{end}") for end in ("a/node/b", "a/node/*", "*/node/*")
    )
    assert anybody.covers(all_of_a)
    assert all_of_a.covers(one)
    assert one.covers(one)
    assert not one.covers(all_of_a)
    assert not all_of_a.covers(anybody)


@pytest.mark.parametrize(
    "text", ["org/univ*/analyst/ada", "org/a/analyst/a*a", "spiffe://kapok.*/org/a/node/**"]
)
def test_an_asterisk_that_stands_for_less_than_a_part_is_told_so(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        PartyPattern(text)
    assert caught.value.code == "bad_party_name"
    assert "* stands for a whole part" in caught.value.message
    assert caught.value.remedy
    assert "org/*/analyst/*" in caught.value.remedy
