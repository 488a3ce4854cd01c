"""What benchmarks of PP-OCRv4 detection have in common: which model it is, and where their figures go."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def add_arguments(parser, results):
    """Add ``--model``, ``--json``, ``--of`` and ``--write``; ``results`` is the page that is written."""
    parser.add_argument("--model", help="path of the detector; default: from the wheel rapidocr-onnxruntime")
    parser.add_argument("--json", help="write the figures here as they come")
    parser.add_argument("--of", metavar="FILE", help="write what --json kept on another machine")
    parser.add_argument("--write", action="store_true", help=f"write {results.relative_to(ROOT)}")


def model_of(arguments):
    """Return the path of the detector."""
    if arguments.model is not None:
        return arguments.model
    from tests.support.models import ocr_model

    return str(ocr_model("det"))
