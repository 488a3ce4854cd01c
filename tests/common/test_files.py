"""Atomic writing: the old file stays whatever goes wrong, and the message says why."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from trtcal_widgets.common.files import read_whole, write_atomic
from trtcal_widgets.errors import CacheFormatError, ExportError

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and limits")


def only_file(folder: Path) -> Path:
    """The one file of a folder: also proves that no temporary file is left."""
    (path,) = folder.iterdir()
    return path


def test_new_file(tmp_path):
    write_atomic(tmp_path / "a.cache", b"one\r\n\0")
    assert only_file(tmp_path).name == "a.cache"
    assert (tmp_path / "a.cache").read_bytes() == b"one\r\n\0"


def test_replaces_longer_file_and_takes_str_and_bytes_paths(tmp_path):
    path = tmp_path / "a.cache"
    path.write_bytes(b"a long old content")
    write_atomic(str(path), b"new")
    assert path.read_bytes() == b"new"
    write_atomic(os.fsencode(path), b"newer")
    assert only_file(tmp_path).read_bytes() == b"newer"


def test_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomic("a.cache", b"x")
    assert only_file(tmp_path).read_bytes() == b"x"


@posix
@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o777])
def test_keeps_permissions_of_the_existing_file(tmp_path, mode):
    path = tmp_path / "a.cache"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomic(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode


@posix
def test_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomic(tmp_path / "a.cache", b"x")
    assert (tmp_path / "a.cache").stat().st_mode == (tmp_path / "plain").stat().st_mode


@posix
def test_symbolic_link_stays_a_link(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "a.cache").write_bytes(b"old")
    link = tmp_path / "link.cache"
    link.symlink_to(real / "a.cache")
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert only_file(real).read_bytes() == b"new"


def test_long_file_name(tmp_path):
    path = tmp_path / ("x" * 240 + ".cache")
    write_atomic(path, b"x")
    assert only_file(tmp_path) == path


def test_folder_in_place_of_the_file(tmp_path):
    (tmp_path / "a.cache").mkdir()
    with pytest.raises(ExportError, match=r"a\.cache.*it is a folder.*give the name of a file"):
        write_atomic(tmp_path / "a.cache", b"x")
    assert only_file(tmp_path).is_dir()


def test_missing_folder_is_not_created(tmp_path):
    with pytest.raises(ExportError, match=r"its folder does not exist.*create the folder"):
        write_atomic(tmp_path / "missing" / "a.cache", b"x")
    assert list(tmp_path.iterdir()) == []


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"kept")
    with pytest.raises(ExportError, match=r"file.*cannot be written"):
        write_atomic(tmp_path / "file" / "a.cache", b"x")
    assert only_file(tmp_path).read_bytes() == b"kept"


@pytest.mark.parametrize("path", ["", "bad\0name"])
def test_path_that_is_none(path):
    with pytest.raises(ExportError):
        write_atomic(path, b"x")


@posix
def test_name_too_long(tmp_path):
    with pytest.raises(ExportError, match="file name is too long"):
        write_atomic(tmp_path / ("x" * 300), b"x")


@posix
def test_device_or_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ExportError, match="not a regular file"):
        write_atomic(pipe, b"x")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(ExportError, match="not a regular file"):
        write_atomic("/dev/null", b"x")


def test_failing_replace_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.cache"
    path.write_bytes(b"old")

    def refuse(source, target):
        assert Path(source).read_bytes() == b"new"  # whole and on the disk before it is renamed
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ExportError, match=r"not permitted.*unchanged") as caught:
        write_atomic(path, b"new")
    assert str(path) in str(caught.value)
    assert only_file(tmp_path).read_bytes() == b"old"


def test_full_disk_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.cache"
    path.write_bytes(b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match=r"the disk is full\. The file that was there is unchanged"):
        write_atomic(path, b"new")
    assert only_file(tmp_path).read_bytes() == b"old"


def test_interrupt_leaves_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "a.cache"
    path.write_bytes(b"old")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert only_file(tmp_path).read_bytes() == b"old"


def run_python(code: str, *arguments: object) -> str:
    """Run code in a process of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@posix
def test_write_that_really_breaks_off_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.cache"
    path.write_bytes(b"old")
    printed = run_python(
        """
        import resource, sys
        from trtcal_widgets.common.files import write_atomic
        from trtcal_widgets.errors import ExportError
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            write_atomic(sys.argv[1], b"x" * 100_000)
        except ExportError as error:
            print(error)
        """,
        path,
    )
    assert "larger than this system allows. The file that was there is unchanged." in printed
    assert only_file(tmp_path).read_bytes() == b"old"


@posix
@pytest.mark.parametrize("read_only", ["folder", "file"])
def test_without_permission_the_old_file_stays(read_only, request):
    # Not tmp_path: only root may enter that, and this test gives root's rights up.
    base = tempfile.TemporaryDirectory()
    request.addfinalizer(base.cleanup)
    Path(base.name).chmod(0o755)
    folder = Path(base.name) / "folder"
    folder.mkdir(mode=0o755)
    path = folder / "a.cache"
    path.write_bytes(b"old")
    (folder if read_only == "folder" else path).chmod(0o555)
    printed = run_python(
        """
        import os, sys
        from trtcal_widgets.common.files import write_atomic
        from trtcal_widgets.errors import ExportError
        if os.getuid() == 0:  # root may write everywhere
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        assert open(sys.argv[1]).read() == "old"
        try:
            write_atomic(sys.argv[1], b"new")
            print("was written")
        except ExportError as error:
            print(error)
        """,
        path,
    )
    folder.chmod(0o755)
    assert "writing there is not permitted" in printed
    assert only_file(folder).read_bytes() == b"old"


def test_read_whole_says_what_is_wrong(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert read_whole(tmp_path / "a", error=CacheFormatError) == b"12345"
    with pytest.raises(CacheFormatError, match="no such file"):
        read_whole(tmp_path / "b", error=CacheFormatError)
    with pytest.raises(CacheFormatError, match="this is a folder"):
        read_whole(tmp_path, error=CacheFormatError)
    with pytest.raises(CacheFormatError, match="too large"):
        read_whole(tmp_path / "a", error=CacheFormatError, limit=4)
    if os.name == "posix":
        with pytest.raises(CacheFormatError, match="too large"):
            read_whole("/dev/zero", error=CacheFormatError, limit=4)
    with pytest.raises(ExportError, match="NUL character"):
        read_whole("nul\0byte", error=ExportError)
    with pytest.raises(CacheFormatError, match=r"cannot be read|no such file"):
        read_whole(tmp_path / "a" / "b", error=CacheFormatError)


def test_what_a_killed_process_left_is_cleaned_up_when_it_is_old(tmp_path):
    target = tmp_path / "x.cache"
    old, fresh, foreign = (
        tmp_path / name for name in (f".x.cache.{'0' * 12}.tmp", f".x.cache.{'1' * 12}.tmp", ".x.cache.tmp")
    )
    for path in (old, fresh, foreign):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    os.utime(foreign, (0, 0))
    write_atomic(target, b"whole")
    assert target.read_bytes() == b"whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([target.name, fresh.name, foreign.name])
