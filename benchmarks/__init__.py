"""Ratios against named rivals and limits, each in one run."""
