"""Three-way merge of files: values and bytes. Knows nothing of git, stores and remotes."""
