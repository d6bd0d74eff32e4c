"""The data path: sources promise bars, bundles keep them, the portal serves them."""
