"""The instance boundary map of pix2pixHD and SPADE."""

import numpy as np

from synthbench.toolkit.masks.objects import boundaries


def test_both_sides_of_a_change_are_boundary_and_the_border_is_none():
    labels = np.array([[0, 1, 1, 2, 2], [0, 1, 1, 2, 2], [0, 0, 0, 0, 0]])
    expected = [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]
    assert boundaries(labels).astype(int).tolist() == expected


def test_it_turns_with_the_labels_and_doesnt_depend_on_their_numbers():
    labels = np.random.default_rng(0).integers(0, 3, (7, 9))
    expected = boundaries(labels)
    for turned in range(4):
        assert np.array_equal(np.rot90(expected, turned), boundaries(np.rot90(labels, turned)))
    assert np.array_equal(boundaries(np.array([5, 0, 9])[labels]), expected)
    assert not boundaries(np.full((3, 3), 4)).any()
