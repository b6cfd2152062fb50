"""What a dataset looks like: counts, pictures with their labels, and one HTML page that needs no network."""
