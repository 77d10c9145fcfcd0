"""Pages and tables about results: terminal, Markdown, HTML, CSV."""
