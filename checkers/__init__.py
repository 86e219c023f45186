"""Verdicts: pure functions of a history."""
