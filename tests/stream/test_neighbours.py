"""Means of neighbours on a mesh."""

import numpy as np

from stream.triangles import mean_of_neighbours


def test_each_vertex_gets_the_mean_of_those_it_has_an_edge_with():
    two = np.array([[0, 1, 2], [2, 1, 3]])
    values = np.array([1.0, 2.0, 4.0, 8.0])
    even = mean_of_neighbours(two, 4) @ values
    np.testing.assert_allclose(even, [3, (1 + 4 + 8) / 3, (1 + 2 + 8) / 3, 3], rtol=1e-6)


def test_a_vertex_without_edges_keeps_its_value():
    even = mean_of_neighbours(np.array([[0, 2, 3]]), 5) @ np.arange(5.0)
    np.testing.assert_allclose(even[[1, 4]], [1, 4])


def test_what_is_the_same_everywhere_stays():
    operator = mean_of_neighbours(np.array([[0, 1, 2], [2, 1, 3], [3, 1, 0]]), 4)
    np.testing.assert_allclose(operator @ np.full(4, 0.3), 0.3, rtol=1e-6)
