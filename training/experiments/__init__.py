"""The networks of the product, one module each."""
