"""pix2vertex (Sela, Richardson, Kimmel 2017): what trains and judges its networks."""
