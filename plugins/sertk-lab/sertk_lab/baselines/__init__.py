"""Baselines: from a table to an honest result, as a recipe that can be edited and run again."""
