"""The bars, without a terminal to see them in."""

from __future__ import annotations

import io

from rich.console import Console

from aioecrpublic.cli.progress import Bars
from aioecrpublic.push import LayerCompleted, LayerProgress, LayerSkipped, LayerStarted, PushStarted

LAYER, OTHER, SHARED = (f"sha256:{letter * 64}" for letter in "abc")


def test_the_total_is_that_of_the_image_and_of_what_is_attached_to_it() -> None:
    bars = Bars(Console(file=io.StringIO(), force_terminal=True))
    (total,) = bars._progress.tasks
    with bars:
        assert not total.visible
        bars(PushStarted(digest="sha256:1", layers=2, total_bytes=150))
        bars(LayerSkipped(digest=SHARED, size=50, media_type=""))
        bars(LayerStarted(digest=LAYER, size=100, media_type=""))
        bars(LayerProgress(digest=LAYER, size=100, bytes_confirmed=40, bytes_sent=60, elapsed=1.0))
        assert (total.completed, total.total, total.visible) == (90, 150, True)
        (_, layer) = bars._progress.tasks
        assert (layer.completed, layer.total) == (60, 100)
        bars(LayerCompleted(digest=LAYER, size=100, elapsed=1.0))
        assert (total.completed, total.total) == (150, 150)
        bars(PushStarted(digest="sha256:2", layers=2, total_bytes=70))
        bars(LayerSkipped(digest=SHARED, size=50, media_type=""))
        bars(LayerStarted(digest=OTHER, size=20, media_type=""))
        assert (total.completed, total.total) == (200, 220)
        bars(LayerCompleted(digest=OTHER, size=20, elapsed=1.0))
    assert (total.completed, total.total) == (220, 220)
    assert bars._progress.tasks == [total]
