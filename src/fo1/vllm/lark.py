"""`lark_grammar`: what an answer may look like, in the words of vLLM's structured outputs.

The counterpart of `fo1.grammar` for an engine that wants a grammar written down. Tags, region names and
labels are tokens by their ids (llguidance's `<[id]>`), so nothing can spell them otherwise. A list ascends,
as answers do in training: a grammar without memory cannot say "each once" in any order. Nor does it count
tokens: a free text that is cut may leave a tag open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fo1.prompts.builder import PromptBuilder
from fo1.prompts.tasks import AnswerKind
from fo1.prompts.vocabulary import GROUND, GROUND_END, OBJECTS, OBJECTS_END, THINK, THINK_END

# Words without a tag or a region name spelled in letters.
_SPELLED = (r"<\s*\/?\s*(ground|objects)\s*>", r"<\/?think>", r"<region[0-9]+>")
_WORDS = "WORDS: " + " & ".join([r"/(.|\n)+/", *(rf"~/(.|\n)*{tag}(.|\n)*/" for tag in _SPELLED)]) + "\n"


def lark_grammar(
    prompts: PromptBuilder, regions: int, kind: AnswerKind = "text", labels: Sequence[str] = ()
) -> str:
    """The grammar of answers of one kind to a prompt that shows so many regions; see `Grammar`."""
    tags, first = prompts.vocabulary.tags, prompts.vocabulary.first_region
    none = _tokens(prompts.template("None"))
    ascending = " ".join(f"{_tokens([first + i])}?" for i in range(regions))
    listed = f"list: ({none})? {_tokens([tags[OBJECTS_END]])}"
    if regions:
        listed += f" | {ascending} {_tokens([tags[OBJECTS_END]])}"
    if kind != "text":
        lists = " ".join(f"{_tokens(prompts.naming(label, regions))} list" for label in labels)
        tail = " WORDS?" if kind == "grounding then text" else ""
        return f"start: {lists}{tail}\n{listed}\n" + (_WORDS if tail else "")
    region = [f"<[{first}-{first + regions - 1}]>"] if regions else []
    thought, thought_end = _tokens([tags[THINK]]), _tokens([tags[THINK_END]])
    phrase = " ".join(["WORDS?", *(f"({name} WORDS?)*" for name in region)])
    grounded = f"{_tokens([tags[GROUND]])} {phrase} {_tokens([tags[GROUND_END]])}"
    marks = " | ".join([f"{_tokens([tags[OBJECTS]])} list", grounded, *region])
    return (
        f"start: (WORDS? mark)* WORDS?\n"
        f"mark: inner | {thought} (WORDS? inner)* WORDS? {thought_end} | {thought_end}\n"
        f"inner: {marks}\n{listed}\n{_WORDS}"
    )


def _tokens(ids: Iterable[int]) -> str:
    return " ".join(f"<[{token}]>" for token in ids)
