"""Composition root and life of a mount: build the objects, mount, serve, unmount."""
