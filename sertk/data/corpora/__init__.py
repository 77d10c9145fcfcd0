"""What readers of corpora share: rows of tables, recordings, and the report of what was found."""
