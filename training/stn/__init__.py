"""3D Morphable Models as Spatial Transformer Networks (Bas et al. 2017)."""
