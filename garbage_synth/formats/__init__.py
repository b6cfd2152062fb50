"""Label formats, one pure module each, with the same verbs: `encode` a dataset, `decode` what was written."""
