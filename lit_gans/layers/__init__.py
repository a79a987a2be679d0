"""Layers of the papers, and what tricks put into networks that were built without them."""
