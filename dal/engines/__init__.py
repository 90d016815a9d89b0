"""One module or package per database engine, all behind the small protocols of `base`."""
