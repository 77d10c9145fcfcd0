"""What the test suites of sertk and of its plugins share: checks, fixtures and a made-up corpus."""
