"""What is inside a file: one module a format. They read bytes and give values; they know neither
git nor the store, and import a library of their format where it is first used."""
