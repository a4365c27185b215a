from __future__ import annotations

import pytest

from fo1.prompts.parsing import Grounding, mentions, named_regions, parse_answer, renumbered

G, H, OBJ, P = "<ground>", "</ground>", "<objects>", "</objects>"

CASES = [
    ("one", f"{G}orange{H}{OBJ}<region0><region5>{P}", [("orange", (0, 5))], []),
    ("several labels", f"{G}a{H}{OBJ}<region1>{P}{G}b{H}{OBJ}<region2>{P}", [("a", (1,)), ("b", (2,))], []),
    ("order kept", f"{G}a{H}{OBJ}<region7><region2><region4>{P}", [("a", (7, 2, 4))], []),
    ("repeats once", f"{G}a{H}{OBJ}<region3><region0><region3>{P}", [("a", (3, 0))], []),
    ("same label twice", f"{G}a{H}{OBJ}<region1>{P}{G}a{H}{OBJ}<region1>{P}", [("a", (1,)), ("a", (1,))], []),
    ("none", f"{G}dog{H}{OBJ}None{P}", [("dog", ())], []),
    ("empty objects", f"{G}dog{H}{OBJ}{P}", [("dog", ())], []),
    ("unknown", f"{G}a{H}{OBJ}<region9><region10><region99><region10>{P}", [("a", (9,))], [10, 99]),
    ("only unknown", f"{G}a{H}{OBJ}<region12>{P}", [("a", ())], [12]),
    ("newline between tags", f"{G}a{H}\n{OBJ}\n<region1>\n<region2>\n{P}\n", [("a", (1, 2))], []),
    ("spaces in tags", "< ground > a </ ground >< objects > <region1> < /objects >", [("a", (1,))], []),
    ("spaces in the label", f"{G}  red \n  cup {H}{OBJ}<region1>{P}", [("red cup", (1,))], []),
    ("commas", f"{G}a{H}{OBJ}<region1>, <region2>{P}", [("a", (1, 2))], []),
    ("objects not closed", f"{G}a{H}{OBJ}<region1>", [("a", (1,))], []),
    (
        "objects not closed before the next",
        f"{G}a{H}{OBJ}<region1>{G}b{H}{OBJ}<region2>{P}",
        [("a", (1,)), ("b", (2,))],
        [],
    ),
    ("ground not closed", f"{G}a{OBJ}<region1>{P}", [("a", (1,))], []),
    ("ground not closed at the end", f"{G}a", [("a", ())], []),
    ("cut in a region", f"{G}a{H}{OBJ}<region1><regi", [("a", (1,))], []),
    ("cut in a tag", f"{G}a{H}{OBJ}<region1></obj", [("a", (1,))], []),
    ("no objects tag", f"{G}a{H}<region1>", [("a", (1,))], []),
    ("bare regions", "<region3><region1>", [("", (3, 1))], []),
    ("bare before a label", f"<region3> and {G}a{H}{OBJ}<region1>{P}", [("", (3,)), ("a", (1,))], []),
    ("objects without a label", f"{OBJ}<region2>{P}", [("", (2,))], []),
    ("inside free text", f"There is {G}a cup{H}{OBJ}<region1>{P} on it.", [("a cup", (1,))], []),
    ("counting", f"{G}cup{H}{OBJ}<region1><region2>{P}\nThere are 2 cups.", [("cup", (1, 2))], []),
    ("Chinese", f"{G}橙子{H}{OBJ}<region1>{P}", [("橙子", (1,))], []),
    ("empty label", f"{G}{H}{OBJ}<region1>{P}", [("", (1,))], []),
    ("leading zeros", f"{G}a{H}{OBJ}<region07>{P}", [("a", (7,))], []),
    ("no number", f"{G}a{H}{OBJ}<region><region-1><region1.5>{P}", [("a", ())], []),
    ("other digits", f"{G}a{H}{OBJ}<region٣>{P}", [("a", ())], []),
    ("astronomic number", f"{G}a{H}{OBJ}<region{'9' * 6000}>{P}", [("a", ())], []),
    ("closing tags alone", f"{H}{P}", [], []),
    ("plain text", "Two oranges on a table.", [], []),
    ("nothing", "", [], []),
    ("tags of reasoning", f"<think>{G}a{H}{OBJ}<region1>{P}</think><answer>yes</answer>", [("a", (1,))], []),
    ("slots", f"{G}a{H}{OBJ}<region1><regionfeat>{P}", [("a", (1,))], []),
]


@pytest.mark.parametrize(("text", "groundings", "unknown"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_reads_however_untidy(
    text: str, groundings: list[tuple[str, tuple[int, ...]]], unknown: list[int]
) -> None:
    answer = parse_answer(text, region_count=10)
    assert answer.groundings == tuple(Grounding(*g) for g in groundings)
    assert answer.unknown_regions == tuple(unknown)
    assert answer.text == text


def test_without_regions_all_are_unknown() -> None:
    answer = parse_answer(f"{G}a{H}{OBJ}<region0><region1>{P}", region_count=0)
    assert answer.groundings == (Grounding("a", ()),)
    assert answer.unknown_regions == (0, 1)


def test_only_unknown_regions_are_no_finding() -> None:
    answer = parse_answer("<region12> or <region12>", 10)
    assert answer.groundings == () and answer.unknown_regions == (12,)


def test_mentions_keep_repeats_and_unknown_regions() -> None:
    text = f"<region2>{G}a{H}{OBJ}<region1><region99><region1>{P}{G} b  c{H}"
    assert mentions(text) == [("", [2]), ("a", [1, 99, 1]), ("b c", [])]
    assert mentions("no region") == []


def test_named_regions() -> None:
    assert named_regions("<region3>, <region0> and <region3>, not <region-1> or region 4") == [3, 0, 3]


def test_renumbered() -> None:
    text = "<region3>, <region03>, <region> and <regionfeat>"
    assert renumbered(text, lambda number: number + 10) == "<region13>, <region13>, <region> and <regionfeat>"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (f"{G}cup{H}{OBJ}<region1><region2>{P}\nThere are 2.", "cup There are 2."),
        (f"A {G}red cup{H}{OBJ}<region1>{P} on\n a {G}table{H}{OBJ}<region2>{P}.", "A red cup on a table."),
        (f"{G}dog{H}{OBJ}None{P} No dog.", "dog No dog."),
        (f"{G}dog{H}< objects > None </ objects > No dog.", "dog No dog."),
        (f"{G}cup{H}{OBJ}<region1> on a {G}table{H}{OBJ}<region2>, <region3>{P}", "cup on a table"),
        ("Two oranges.", "Two oranges."),
        ("None of them.", "None of them."),
        ("", ""),
    ],
)
def test_plain_text(text: str, plain: str) -> None:
    assert parse_answer(text, 10).plain == plain
