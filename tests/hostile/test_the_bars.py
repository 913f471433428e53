"""The last test: what the whole run has to have reached. Skipped when only a part was run."""

from pathlib import Path

import pytest
import tally

FILES = {path.name for path in Path(__file__).parent.glob("test_*.py")}


def test_enough_was_tried_and_nobody_was_hurt(request):
    items = request.session.items
    if {item.path.name for item in items} != FILES or request.config.option.keyword:
        pytest.skip("only a part was run")
    assert tally.crashes == 0
    assert tally.links_lost == 0
    assert tally.inputs() >= tally.INPUTS_MIN
    assert len(tally.kinds) >= tally.KINDS_MIN
