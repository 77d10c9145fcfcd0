"""What `sertk new plugin` and `sertk new recipe` write: files with $name placeholders, named `*.template`."""
