"""What the user asked for: the fleet file's schema (every default lives there) and its loading."""
