"""What the local registry takes and gives beside Debian's docker-registry, each a process with its own files.

The same plain registry client pushes to both and pulls from both; ours takes pushes by the API too. Both are
run as registries that have to be there tomorrow, and sync what they acknowledge, but not the same.
docker-registry 2.8 syncs every file that it writes, the small ones twice, and no directory: it is up to the
file system whether a new name survives. Ours syncs files, directories and the log of its SQLite database.
"""
