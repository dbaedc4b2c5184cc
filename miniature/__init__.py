"""The paper in miniature: data sets drawn by code, and `python -m miniature`, which learns one."""
