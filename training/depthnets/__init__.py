"""DepthNets (Moniz et al. 2018): keypoint depth without labels, the affine, tables and the warp."""
