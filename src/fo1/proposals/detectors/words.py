"""Words that stand for anything, for detectors that only look for what they are told."""

ANYTHING = (
    "object",
    "person",
    "animal",
    "plant",
    "vehicle",
    "furniture",
    "food",
    "tool",
    "clothing",
    "building",
)
