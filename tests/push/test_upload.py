from __future__ import annotations

import pytest

from aioecrpublic.errors import InvalidLayerPartException
from aioecrpublic.push.upload import standing


@pytest.mark.parametrize(
    ("last_valid", "size", "there"),
    [
        (None, 35, None),
        (-2, 35, None),
        (-1, 35, 0),
        # What an upload without any part answers as well.
        (0, 35, 0),
        (0, 2, 0),
        (0, 1, 1),
        (1, 35, 2),
        (9, 35, 10),
        (34, 35, 35),
        (35, 35, None),
    ],
)
def test_where_an_upload_stands(last_valid: int | None, size: int, there: int | None) -> None:
    assert standing(InvalidLayerPartException("no", last_valid_byte_received=last_valid), size) == there
