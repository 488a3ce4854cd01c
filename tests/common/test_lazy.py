from __future__ import annotations

from importlib import import_module

import pytest

PACKAGES = (
    "trtcal_widgets",
    "trtcal_widgets.core",
    "trtcal_widgets.debug",
    "trtcal_widgets.doctor",
    "trtcal_widgets.trt",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_has_exactly_the_names_that_it_lists(package):
    module = import_module(package)
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there_is_an_attribute_error_that_names_both(package):
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'nothing_of_this_name'"):
        _ = import_module(package).nothing_of_this_name
