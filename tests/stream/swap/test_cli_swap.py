"""What the command line of the swap makes of its options."""

from dataclasses import replace

import pytest

from stream import cli_swap
from stream.affine_settings import AffineSettings
from stream.errors import UserError
from stream.settings import Settings
from stream.swap.options import SwapSettings

NONE = dict.fromkeys(("shape", "strength", "softness", "colour_match", "keep_brows", "mouth"))


def affine(**given):
    settings = replace(Settings(), swap=replace(SwapSettings(), **given))
    return cli_swap._with_affine(settings, NONE | given).affine


def test_softness_and_colour_match_are_edge_and_tone_of_the_affine():
    assert affine() == AffineSettings()
    assert affine(softness=0.5) == AffineSettings()
    assert affine(softness=1.0).edge == pytest.approx(2 * AffineSettings().edge)
    assert affine(colour_match=0.25).tone == 0.25


def test_an_edge_of_the_settings_file_stays_where_no_option_is_given():
    settings = replace(Settings(), affine=AffineSettings(edge=0.2, tone=0.3))
    kept = cli_swap._with_affine(settings, NONE).affine
    assert (kept.edge, kept.tone) == (0.2, 0.3)


@pytest.mark.parametrize(
    ("given", "option"),
    [({"keep_brows": True}, "--keep-brows"), ({"mouth": True}, "--mouth-from-target"),
     ({"shape": 0.3}, "--shape")],
)  # fmt: skip
def test_what_only_the_mesh_has_is_refused_by_its_name(given, option):
    with pytest.raises(UserError, match=option):
        affine(**given)
