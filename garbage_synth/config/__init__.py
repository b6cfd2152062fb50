"""One frozen model per stage (one module each) and how they are loaded, overridden and saved."""
