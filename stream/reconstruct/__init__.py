"""From one picture to a head in 3D: `voltface reconstruct`; see docs/reconstruct.md."""
