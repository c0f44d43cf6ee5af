"""Where heavy steps run and what they may reuse: local models, the content cache, progress."""
