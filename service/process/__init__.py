"""What a process needs of the operating system: logs, memory, processors, signals. It imports nothing else of ours."""
