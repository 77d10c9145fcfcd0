"""What can be wrong with a configuration beyond its schema, found before any work.

Its components are built and tried: on made-up data, or on the labels of the manifest that they are meant for.
"""
