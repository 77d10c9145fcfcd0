"""Reading, checking and building what people write in TOML."""
