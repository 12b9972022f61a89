"""The socket that every process serves on: connections and their bounds, open files, signals."""
