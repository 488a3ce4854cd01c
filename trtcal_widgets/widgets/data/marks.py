"""What the strip has a mark for: samples, or batches where a session has no record of its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.common.words import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trtcal_widgets.session import CalibrationSession


_LOOKED_AT = 8
"""So many tensors say whether something is known of samples."""


class Marks:
    """One mark per recorded batch; :class:`SampleMarks` has one per sample. The screen knows of samples through these.

    ``unit``: what one is called. ``n``: how many there are. ``starts``: the first mark of each batch; empty where a
    mark is a batch. ``names``: what people call them; empty texts where they have no name. ``pictures``: whether there
    are pictures of them.
    """

    unit = "batch"
    starts: tuple[int, ...] = ()

    def __init__(self, session: CalibrationSession) -> None:
        self._session = session
        self.n = session.status.recorded
        self.names = ("",) * self.n
        self.pictures = session.plan is not None

    def values(self, name: str) -> NDArray[np.float32]:
        """Return the largest |x| that each brings to a tensor, shape (n,); nan where it has no value of it."""
        return self._session.batch_amax(name)[: self.n].astype(np.float32)

    def out(self) -> frozenset[int]:
        """Return those that are left out."""
        return self._session.state.excluded

    def leave_out(self, mark: int) -> None:
        """Leave one out."""
        self._session.exclude(mark)

    def count(self, mark: int) -> None:
        """Count one again."""
        self._session.include(mark)

    def picture(self, mark: int) -> NDArray[np.uint8] | None:
        """Return a picture, uint8 (h, w, 3), of a batch that of its first sample; None where there is none."""
        plan = self._session.plan
        found = [] if plan is None else plan.thumbnails(mark, 1)
        return found[0] if found else None

    def detail(self, mark: int) -> str:  # noqa: ARG002 - of a batch nothing more is known
        """Return what else is known of one, in words."""
        return ""

    def shares(self, name: str) -> Mapping[int, float]:  # noqa: ARG002 - a batch is no single sample
        """Return whose share of a tensor's values beyond its threshold is known, and how large it is, 0 to 1."""
        return {}


class SampleMarks(Marks):
    """One mark per recorded sample; one that is left out costs a run of its batch where that was not done yet."""

    unit = "sample"

    def __init__(self, session: CalibrationSession) -> None:
        super().__init__(session)
        samples = session.samples
        self.n = len(samples)
        self.names = tuple(samples.files())
        batches = map(samples.members, range(session.status.recorded))
        self.starts = tuple(own.start for own in batches if len(own) and own.start < self.n)
        self._classes = samples.classes()
        self._batch: tuple[int, list[NDArray[np.uint8]]] = (-1, [])

    def values(self, name: str) -> NDArray[np.float32]:
        """Return each sample's largest |x|."""
        return self._session.samples.amax(name)[: self.n].astype(np.float32)

    def out(self) -> frozenset[int]:
        """Return the samples that are left out."""
        return self._session.samples.left_out

    def leave_out(self, mark: int) -> None:
        """Leave a sample out."""
        self._session.samples.leave_out(mark)

    def count(self, mark: int) -> None:
        """Count a sample again."""
        self._session.samples.bring_back(mark)

    def picture(self, mark: int) -> NDArray[np.uint8] | None:
        """Return a sample's picture; those of its batch are kept, for its neighbours are looked at next."""
        samples, plan = self._session.samples, self._session.plan
        batch = samples.batch_of(mark)
        if plan is not None and self._batch[0] != batch:
            self._batch = batch, list(plan.thumbnails(batch))
        pictures, place = self._batch[1], samples.place_of(mark)
        return pictures[place] if place < len(pictures) else None

    def detail(self, mark: int) -> str:
        """Return a sample's class, where the source knows it."""
        label = int(self._classes[mark])
        return f"class {label}" if label >= 0 else ""

    def shares(self, name: str) -> Mapping[int, float]:
        """Return the shares of samples that were counted by themselves."""
        return {one.sample: one.share for one in self._session.samples.blame(name) if one.share is not None}


def marks_of(session: CalibrationSession) -> Marks:
    """Return the marks of what is recorded now: batches where nothing is known of samples, as in older files."""
    names = session.calibrated[:_LOOKED_AT]
    known = any(np.isfinite(session.samples.extremes(name)).any() for name in names)
    return SampleMarks(session) if known else Marks(session)


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
