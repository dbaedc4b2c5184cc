"""The paper in miniature: a data set drawn by code, and `python -m miniature` to learn it."""
