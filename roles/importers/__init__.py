"""Importers: role packs out of what users of other programs have. One module for each form."""
