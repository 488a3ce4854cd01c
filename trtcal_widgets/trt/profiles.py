"""Optimisation profiles: which shapes a dynamic network is built for, and which one it is calibrated with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Shape = tuple[int, ...]


class Range(NamedTuple):
    """Smallest, best and largest shape of an input (or values, for an input that is itself a shape)."""

    min: Shape
    opt: Shape
    max: Shape


@dataclass(frozen=True)
class Profile:
    """One optimisation profile: input name -> range."""

    ranges: Mapping[str, Range]

    def to_json(self) -> dict[str, list[list[int]]]:
        """Return the profile as plain values."""
        return {name: [list(shape) for shape in ranges] for name, ranges in self.ranges.items()}


class Fed(NamedTuple):
    """What a calibration batch has for an input."""

    shape: Shape
    samples: int | None = 0
    """The axis along which a batch may be smaller; None where its samples have none of their own."""


class DynamicInput(NamedTuple):
    """An input for which TensorRT must be told shapes."""

    name: str
    shape: Shape
    """-1 where the size is open."""
    is_shape_tensor: bool


def dynamic_inputs(network: Any) -> tuple[DynamicInput, ...]:
    """Return the inputs of a ``trt.INetworkDefinition`` that have an open size, or are shapes themselves."""
    found = []
    for index in range(network.num_inputs):
        itensor = network.get_input(index)
        shape = tuple(int(size) for size in itensor.shape)
        if -1 in shape or itensor.is_shape_tensor:
            found.append(DynamicInput(str(itensor.name), shape, bool(itensor.is_shape_tensor)))
    return tuple(found)


def resolve_profiles(
    given: Any, inputs: Sequence[DynamicInput], batch: Mapping[str, Fed], *, calibrates: bool
) -> tuple[tuple[Profile, ...], Profile | None]:
    """Work out the profiles of a build.

    ``given``: what the user passed: None, ``{input: shape}`` or ``{input: (min, opt, max)}``, or a list of these.
    ``inputs``: the dynamic inputs of the network. ``batch``: input name -> what a calibration batch has; empty where
    there is none, or it is not known. ``calibrates``: whether TensorRT will be given such batches. Returns (profiles,
    calibration profile): without profiles from the user, that batch's shape is the best and largest one, and any
    smaller batch is allowed. The calibration profile is None where there is nothing dynamic or nothing to calibrate.
    Raises UsageError if a dynamic input has no range, a name is unknown, or a range does not fit; says how to write it.
    """
    if not inputs:
        if given:
            raise UsageError("profiles were given, but every input of this network has a fixed shape: leave them out")
        return (), None
    fed = {name: one for name, one in batch.items() if name in {i.name for i in inputs}}
    if given is None:
        _need_all(inputs, fed, "is dynamic")
        profiles: tuple[Profile, ...] = (Profile({i.name: _from_batch(i, fed[i.name]) for i in inputs}),)
    else:
        listed = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
        if not listed:
            raise UsageError(f"profiles= has no profile in it. {_example(inputs)}")
        profiles = tuple(_profile(one, inputs) for one in listed)
    if not (calibrates and fed):
        return profiles, None
    _need_all(inputs, fed, "has no calibration batch")
    return profiles, Profile({i.name: Range(*[_checked(i, fed[i.name].shape)] * 3) for i in inputs})


def _need_all(inputs: Sequence[DynamicInput], have: Iterable[str], why: str) -> None:
    missing = [item for item in inputs if item.name not in have]
    if missing:
        raise UsageError(f"input {missing[0].name!r} {missing[0].shape} {why}. {_example(inputs)}")


def _from_batch(item: DynamicInput, fed: Fed) -> Range:
    """Any batch up to the calibration's, other sizes as in the calibration."""
    best = _checked(item, fed.shape)
    if item.is_shape_tensor or not item.shape or fed.samples is None or item.shape[fed.samples] != -1:
        return Range(best, best, best)
    least = list(best)
    least[fed.samples] = 1
    return Range(tuple(least), best, best)


def _profile(given: Any, inputs: Sequence[DynamicInput]) -> Profile:
    if not isinstance(given, Mapping):
        raise UsageError(f"a profile must be a dict, not {kind_of(given)}. {_example(inputs)}")
    names = [item.name for item in inputs]
    unknown = [name for name in given if name not in names]
    if unknown:
        raise UsageError(
            f"a profile names {unknown[0]!r}, which is no dynamic input; those are {', '.join(map(repr, names))}"
        )
    _need_all(inputs, given, "has no range in a profile")
    return Profile(MappingProxyType({item.name: _range(item, given[item.name], inputs) for item in inputs}))


def _range(item: DynamicInput, given: Any, inputs: Sequence[DynamicInput]) -> Range:
    parts = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    if parts and all(isinstance(part, int) for part in parts):
        parts = (parts, parts, parts)
    if len(parts) != 3 or not all(isinstance(part, Sequence) for part in parts):
        raise UsageError(f"the range of input {item.name!r} cannot be read: {given!r}. {_example(inputs)}")
    low, best, high = (_checked(item, tuple(part)) for part in parts)
    if not len(low) == len(best) == len(high):
        raise UsageError(f"input {item.name!r}: min {low}, opt {best} and max {high} must have as many values each")
    if any(not a <= b <= c for a, b, c in zip(low, best, high, strict=True)):
        raise UsageError(f"input {item.name!r}: min {low}, opt {best}, max {high} must not decrease in any axis")
    return Range(low, best, high)


def _checked(item: DynamicInput, shape: Shape) -> Shape:
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 0 for size in shape):
        raise UsageError(f"input {item.name!r}: {shape} is no shape")
    if item.is_shape_tensor:
        return shape
    if len(shape) != len(item.shape) or any(want not in (-1, got) for want, got in zip(item.shape, shape, strict=True)):
        raise UsageError(f"input {item.name!r} is {item.shape} (-1: any size), which the shape {shape} does not fit")
    return shape


def _example(inputs: Sequence[DynamicInput]) -> str:
    item = inputs[0]
    sizes = [tuple(n if size == -1 else size for size in item.shape) for n in (1, 8, 32)]
    return (
        f"Pass profiles={{{item.name!r}: ({sizes[0]}, {sizes[1]}, {sizes[2]})}}: the smallest, usual and largest shape"
    )


def add_profiles(builder: Any, config: Any, profiles: Sequence[Profile], inputs: Sequence[DynamicInput]) -> None:
    """Add optimisation profiles to a builder configuration.

    Raises EngineError if TensorRT refuses one.
    """
    for one in profiles:
        if config.add_optimization_profile(_made(builder, one, inputs)) < 0:
            raise EngineError(f"TensorRT refused the profile {one.to_json()}")


def set_calibration_profile(builder: Any, config: Any, one: Profile, inputs: Sequence[DynamicInput]) -> None:
    """Set the shapes that the network is calibrated with.

    Raises EngineError if TensorRT refuses them.
    """
    if not config.set_calibration_profile(_made(builder, one, inputs)):
        raise EngineError(f"TensorRT refused the calibration profile {one.to_json()}")


def _made(builder: Any, one: Profile, inputs: Sequence[DynamicInput]) -> Any:
    profile = builder.create_optimization_profile()
    values = {item.name: item.is_shape_tensor for item in inputs}
    for name, ranges in one.ranges.items():
        put = profile.set_shape_input if values[name] else profile.set_shape
        put(name, *ranges)
    return profile
