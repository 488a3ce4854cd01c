from __future__ import annotations

from trtcal_widgets.cli.commands.debug import read_labels


def test_labels_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "labels.txt").write_bytes(b"\xef\xbb\xbf3\r\n0\r\n12\r\n")
    assert read_labels(str(tmp_path / "labels.txt")).tolist() == [3, 0, 12]
