"""Report formats, one file each. A format is a module with `NAME` (the file or folder it makes) and `write`."""
