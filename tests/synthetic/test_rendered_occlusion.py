"""What rendering leaves out before it shades: triangles far from all that are seen."""

import numpy as np

from deepmark.synthetic.rendered.occlusion import near_seen

STRIP = np.array([[n, n + 1, n + 2] for n in range(8)], np.int32)


def test_the_neighbours_of_a_triangle_that_is_seen_stay_and_their_neighbours():
    assert near_seen(STRIP, np.arange(8) == 0).tolist() == STRIP[:5].tolist()
    assert near_seen(STRIP, np.arange(8) == 7).tolist() == STRIP[3:].tolist()


def test_where_nothing_is_seen_nothing_stays():
    assert near_seen(STRIP, np.zeros(8, bool)).shape == (0, 3)
    assert near_seen(STRIP[:0], np.zeros(0, bool)).shape == (0, 3)
