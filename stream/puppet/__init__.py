"""A photo that moves as somebody before the camera does."""
