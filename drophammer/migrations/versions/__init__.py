"""One file per change of the schema, oldest first. A package so that installers keep it."""
