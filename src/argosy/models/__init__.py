"""Models: where weights come from (sources), the catalog of known ones, the cache they are kept in."""
