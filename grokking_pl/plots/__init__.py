"""Figures from results: matplotlib figures, made without pyplot and its global state."""
