"""Empty on purpose: everything pytest needs comes from the installed plugin (fixtures/plugin.py)."""
