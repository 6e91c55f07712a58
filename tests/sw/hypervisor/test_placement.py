# SPDX-License-Identifier: Apache-2.0
"""First fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.errors import NoRoom
from blindvisor.sw.hypervisor.placement import first_fit

MESH = MachineConfig(name="test", width=4, height=3)
PLACES = [(x, y) for y in range(3) for x in range(4)]


@given(free=st.sets(st.sampled_from(PLACES)), width=st.integers(1, 5), height=st.integers(1, 4))
def test_first_place_row_by_row_or_none(free, width, height):
    fitting = [
        (x, y)
        for x, y in PLACES
        if {(x + i, y + j) for i in range(width) for j in range(height)} <= free
    ]
    if fitting:
        assert first_fit(MESH, free, width=width, height=height) == fitting[0]
    else:
        with pytest.raises(NoRoom):
            first_fit(MESH, free, width=width, height=height)


def test_error_says_what_was_asked_and_what_is_free():
    with pytest.raises(NoRoom) as caught:
        first_fit(MESH, {(0, 0), (3, 2)}, width=2, height=1)
    assert str(caught.value) == (
        "no free rectangle of 2 x 1 clusters: 2 of 12 clusters are free"
        " (rows from y = 0, # in use: .### #### ###.)"
    )


def test_error_for_what_never_fits_names_the_mesh():
    with pytest.raises(NoRoom, match="of 5 x 1 clusters: the mesh is 4 x 3"):
        first_fit(MESH, set(PLACES), width=5, height=1)


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (-1, 2)])
def test_empty_rectangle_is_refused(width, height):
    with pytest.raises(ValueError, match="at least 1 x 1"):
        first_fit(MESH, set(PLACES), width=width, height=height)
