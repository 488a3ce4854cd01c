from __future__ import annotations

import pytest

from tests.labextension.reader import Readers


@pytest.fixture(scope="session")
def readers():
    """The extension's readers, as built."""
    found = Readers()
    yield found
    found.close()
