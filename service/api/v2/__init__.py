"""The Open Inference Protocol, version 2 (KServe V2), over REST."""
