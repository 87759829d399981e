"""Sequential editing gives the text that Loro gives (crdt-sync report, part 4): code points, ends, emoji, deletions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .doc_world import Device

loro = pytest.importorskip("loro", reason="loro is in the test group; without it there is nothing to compare with")

pytestmark = pytest.mark.property

TEXTS = st.text(alphabet="abc \né𝄞👩\u200d🚀\u0301", min_size=1, max_size=8)
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6), st.one_of(st.just(""), TEXTS)), max_size=30)


@given(EDITS, st.integers(1, 5))
def test_sequential_edits_end_in_the_text_that_loro_has(edits: list[tuple[float, int, str]], per_entry: int) -> None:
    device = Device("alone")
    device.edit(lambda edit: edit.put(("text",), ""))
    document = loro.LoroDoc()
    theirs = document.get_text("text")
    for start in range(0, len(edits), per_entry):
        group = edits[start : start + per_entry]
        placed: list[tuple[int, int, str]] = []
        for where, most, inserted in group:
            length = theirs.len_unicode
            at = round(where * length)
            count = min(most, length - at)
            if count:
                theirs.delete(at, count)
            if inserted:
                theirs.insert(at, inserted)
            placed.append((at, count, inserted))
        device.edit(*[lambda edit, p=p: edit.splice(("text",), *p) for p in placed])  # type: ignore[misc]
    assert device.documents.document("doc").text(("text",)) == theirs.to_string()
