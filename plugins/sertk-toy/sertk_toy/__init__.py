"""A made-up corpus in the layout of MSP-Podcast, so that everything can be tried without a licence."""
