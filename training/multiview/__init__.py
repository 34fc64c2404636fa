"""Learning Monocular Face Reconstruction using Multi-View Supervision (Shu et al. 2020)."""
