"""Feature stores and how encoders fill them."""
