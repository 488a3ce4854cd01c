"""The table of the cache viewer in the browser.

The browser holds a few pages; searching and sorting happen in the kernel (10 to 30 ms at 100,000 rows). A saved
notebook therefore does not carry the file with it.
"""

from __future__ import annotations

import anywidget
import traitlets

from trtcal_widgets.widgets.cache.facts import ALL, SORTS
from trtcal_widgets.widgets.kit.assets import script, style


class CacheTable(anywidget.AnyWidget):
    """Rows of a cache with search, filters and order. What it shows is set by the one who binds it.

    The browser changes ``search``, ``group``, ``sort``, ``descending``, ``selected``, ``version``, ``algorithm`` and
    ``theme``; it reads ``summary``, ``verdict``, ``view``, ``selected_at`` and ``detail``.
    """

    _esm = script("cache/table")
    _css = style("cache")

    search = traitlets.Unicode("").tag(sync=True)
    group = traitlets.Unicode(ALL).tag(sync=True)
    sort = traitlets.Enum(SORTS, "file").tag(sync=True)
    descending = traitlets.Bool(default_value=False).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    version = traitlets.Unicode("").tag(sync=True)
    algorithm = traitlets.Unicode("").tag(sync=True)
    theme = traitlets.Enum(("light", "dark"), "light").tag(sync=True)

    summary = traitlets.Dict().tag(sync=True)
    verdict = traitlets.Dict({"kind": "", "text": ""}).tag(sync=True)
    view = traitlets.Dict({"generation": 0, "total": 0, "rows": [], "count_text": "", "empty": ""}).tag(sync=True)
    selected_at = traitlets.Int(-1).tag(sync=True)
    detail = traitlets.Dict().tag(sync=True)
