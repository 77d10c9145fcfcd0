"""Model soups for sertk."""
