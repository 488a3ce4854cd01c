"""What the strip has a mark for: samples, or batches where a session has no record of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from trtcal_widgets.common.words import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trtcal_widgets.session import CalibrationSession


class Marks(Protocol):
    """The marks of one session; all that the screen knows of samples goes through here.

    ``unit`` is what one is called, ``n`` how many there are, ``starts`` the first mark of each batch (empty where a
    mark is a batch), ``names`` what people call them (empty texts where they have no name), ``pictures`` whether there
    are pictures of them.
    """

    unit: str
    n: int
    starts: tuple[int, ...]
    names: tuple[str, ...]
    pictures: bool

    def values(self, name: str) -> NDArray[np.float32]:
        """Return the largest |x| that each brings to a tensor, shape (n,); nan where it has no value of it."""
        ...

    def out(self) -> frozenset[int]:
        """Return those that are left out."""
        ...

    def leave_out(self, mark: int) -> None:
        """Leave one out."""
        ...

    def count(self, mark: int) -> None:
        """Count one again."""
        ...

    def picture(self, mark: int) -> NDArray[np.uint8] | None:
        """Return a picture, uint8 (h, w, 3); None where there is none."""
        ...


class BatchMarks:
    """One mark per recorded batch."""

    unit = "batch"
    starts: tuple[int, ...] = ()

    def __init__(self, session: CalibrationSession) -> None:
        self._session = session
        self.n = session.status.recorded
        self.names = ("",) * self.n
        self.pictures = session.plan is not None

    def values(self, name: str) -> NDArray[np.float32]:
        """Return each batch's largest |x|."""
        return self._session.batch_amax(name)[: self.n].astype(np.float32)

    def out(self) -> frozenset[int]:
        """Return the batches that are left out."""
        return self._session.state.excluded

    def leave_out(self, mark: int) -> None:
        """Leave a batch out."""
        self._session.exclude(mark)

    def count(self, mark: int) -> None:
        """Count a batch again."""
        self._session.include(mark)

    def picture(self, mark: int) -> NDArray[np.uint8] | None:
        """Return the picture of a batch's first sample."""
        plan = self._session.plan
        found = [] if plan is None else plan.thumbnails(mark, 1)
        return found[0] if found else None


def marks_of(session: CalibrationSession) -> Marks:
    """Return the marks of what is recorded now."""
    return BatchMarks(session)


def marks_facts(marks: Marks) -> dict[str, object]:
    """Return what the strip gets once."""
    return {
        "n": marks.n,
        "unit": marks.unit,
        "starts": list(marks.starts),
        "names": [printable(name) for name in marks.names],
        "pictures": marks.pictures,
    }


def rgba(picture: NDArray[np.uint8] | None) -> tuple[bytes, int, int]:
    """Return a picture's RGBA bytes, width and height; none of it without a picture."""
    if picture is None:
        return b"", 0, 0
    high, wide = picture.shape[:2]
    made = np.full((high, wide, 4), 255, np.uint8)
    made[..., :3] = picture[..., :3]
    return made.tobytes(), wide, high
