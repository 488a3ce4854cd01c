"""Scale files of other tools: what in them is symmetric INT8 with one scale per tensor, and why the rest is not.

- **AIMET** encodings, versions 0.6 (a dict of name -> list) and 1.0 (a list of entries with a ``name``), as its
  documentation of the encoding format describes them. Activations are read; parameters have no rows in a cache.
- **PPQ**: ``configs`` say for each variable of each operator how it is quantised (its ``policy`` names every property
  that there is, with true or false), ``values`` hold scales and zero points by the hash that the configuration, or the
  one that dominates it, names (its ``onnx_exporter.py``).
- **NVDLA** compiler's calibration JSON: name -> ``scale``, ``min``, ``max``, ``offset`` (its ``calib_txt_to_json.py``);
  where there is no scale, min and max count.

- **ONNX Runtime**'s overrides for single tensors (``TensorQuantOverrides``, as its ``static_quantize_runner`` reads):
  name -> list of ``scale`` and ``zero_point``, or ``rmin`` and ``rmax``. (Its tables and caches of ranges, up to 1.32's
  ``quantize_static(calibration_cache_path=…)``, are read in :mod:`~trtcal_widgets.formats.tables`.)

NVIDIA's ModelOpt (0.47) writes no such file: its result is a model with Q/DQ pairs, which ``model.explicit`` reads, and
what its ``calibration_cache_path`` takes is a calibration cache of TensorRT.

Nothing is guessed: an entry that is not understood is named and left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

_STEPS = 127.0


class ForeignTable(NamedTuple):
    """What a file of another tool holds.

    ``tool``: its name, for people. ``amax``: tensor -> threshold, in the tensor's unit: scale * 127. ``left_out``:
    tensor -> why its entry is not symmetric INT8 per tensor.
    """

    tool: str
    amax: dict[str, float]
    left_out: dict[str, str]


def read_foreign(data: Any) -> ForeignTable | None:
    """Return what the JSON of another tool holds; None where it is none that is known here."""
    if not isinstance(data, Mapping):
        return None
    if "activation_encodings" in data:
        return _collect("AIMET", _aimet(data))
    if isinstance(data.get("configs"), Mapping) and isinstance(data.get("values"), Mapping):
        return _collect("PPQ", _ppq(data["configs"], data["values"]))
    if data and all(_is_override(value) for value in data.values()):
        return _collect("ONNX Runtime", {str(name): _override(listed) for name, listed in data.items()})
    entries = [value for value in data.values() if isinstance(value, Mapping)]
    if entries and len(entries) == len(data) and all("scale" in one or {"min", "max"} <= set(one) for one in entries):
        return _collect("NVDLA", {name: _nvdla(entry) for name, entry in data.items()})
    return None


def _collect(tool: str, found: Mapping[str, float | str]) -> ForeignTable:
    amax = {name: value for name, value in found.items() if not isinstance(value, str)}
    return ForeignTable(tool, amax, {name: why for name, why in found.items() if isinstance(why, str)})


def _amax(scale: Any, offset: Any, bits: Any, symmetric: Any) -> float | str:
    """Return the threshold of one entry, or why it has none."""
    if isinstance(scale, list):
        if len(scale) != 1:
            return f"has {len(scale)} scales: one per channel"
        scale = scale[0]
    offset = offset[0] if isinstance(offset, list) and len(offset) == 1 else offset
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not math.isfinite(scale) or scale <= 0:
        return "has no scale that is a positive number"
    if bits is not None and bits != 8:
        return f"has {bits:g} bits" if isinstance(bits, (int, float)) else "has no number of bits"
    if str(symmetric).lower() == "false":
        return "is asymmetric"
    if offset not in (None, 0, -128):  # AIMET's symmetric entries count from -128 on
        return f"is asymmetric: its offset is {offset!r}"
    return float(scale) * _STEPS


def _aimet(data: Mapping[str, Any]) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for name, entry in _named(data["activation_encodings"]):
        entries = entry if isinstance(entry, list) else [entry]
        if len(entries) != 1 or not isinstance(entries[0], Mapping):
            found[name] = f"has {len(entries)} encodings: one per channel, or per input of a layer"
            continue
        one = entries[0]
        if str(one.get("dtype", "int")).lower() not in ("int", "int8"):
            found[name] = f"is {one['dtype']}, not INT8"
            continue
        bits = one.get("bitwidth", one.get("bw"))
        found[name] = _amax(one.get("scale"), one.get("offset"), bits, one.get("is_symmetric", one.get("is_sym")))
    for name, _ in _named(data.get("param_encodings", {})):
        found.setdefault(name, "is a parameter: weights have no row in a cache, TensorRT takes their own maxima")
    return found


def _named(entries: Any) -> list[tuple[str, Any]]:
    """Return (name, entry) of either version: a dict, or a list of entries that say their name."""
    if isinstance(entries, Mapping):
        return [(str(name), entry) for name, entry in entries.items()]
    listed = entries if isinstance(entries, list) else []
    return [(str(one["name"]), one) for one in listed if isinstance(one, Mapping) and "name" in one]


def _ppq(configs: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for operator in configs.values():
        for name, config in operator.items() if isinstance(operator, Mapping) else ():
            if not isinstance(config, Mapping):
                continue
            value = values.get(_key(config.get("hash")), values.get(_key(config.get("dominator"))))
            if not isinstance(value, Mapping):
                found.setdefault(str(name), "has no scale in the file")
                continue
            amax = _ppq_amax(config, value)
            if not isinstance(amax, str) or name not in found:
                found[str(name)] = amax
    return found


def _ppq_amax(config: Mapping[str, Any], value: Mapping[str, Any]) -> float | str:
    if _has(config, "FLOATING"):
        return "is floating point, not INT8"
    if _has(config, "DYNAMIC"):
        return "is dynamic: its scale is found anew for every batch"
    symmetric = not _has(config, "ASYMMETRICAL")
    return _amax(value.get("scale"), value.get("zero_point"), config.get("bit_width"), symmetric)


def _has(config: Mapping[str, Any], wanted: str) -> bool:
    """Whether a policy has a property: PPQ writes all that there are, each with true or false."""
    policy = config.get("policy")
    return isinstance(policy, Mapping) and policy.get(wanted) is True


def _key(number: Any) -> str:
    """Return a hash as JSON spells it as a key, whether it was read as a whole number or as a float."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


_OVERRIDE = frozenset(
    {"axis", "convert", "quant_type", "reduce_range", "rmax", "rmin", "scale", "symmetric", "zero_point"}
)


def _is_override(listed: Any) -> bool:
    entries = listed if isinstance(listed, list) else []
    return bool(entries) and all(isinstance(entry, Mapping) and entry.keys() <= _OVERRIDE for entry in entries)


def _override(listed: list[Mapping[str, Any]]) -> float | str:
    entry = listed[0]
    if len(listed) > 1 or entry.get("axis") is not None:
        return "has scales per channel"
    kind = str(entry.get("quant_type", "QInt8")).rpartition(".")[2].lower()
    if kind != "qint8":
        return f"is {kind.removeprefix('q').upper()}, not INT8"
    if "scale" in entry:
        return _amax(entry["scale"], entry.get("zero_point"), None, None)
    given = [entry.get("rmin"), entry.get("rmax")]
    ends = [float(end) for end in given if isinstance(end, (int, float)) and not isinstance(end, bool)]
    if len(ends) < 2 or not all(map(math.isfinite, ends)):
        return "has neither a scale nor a range"
    if entry.get("symmetric") is not True and ends[0] != -ends[1]:
        return "is asymmetric: its range is, and it does not say symmetric"
    return max(map(abs, ends))


def _nvdla(entry: Mapping[str, Any]) -> float | str:
    scale, offset = entry.get("scale"), entry.get("offset")
    if isinstance(scale, (int, float)) and scale:
        return _amax(scale, offset, None, None)
    ends = [entry.get("min"), entry.get("max")]
    if offset not in (None, 0):
        return f"is asymmetric: its offset is {offset!r}"
    if not all(isinstance(end, (int, float)) and math.isfinite(end) for end in ends):
        return "has neither a scale nor a range"
    return max(abs(float(end)) for end in ends if end is not None)
