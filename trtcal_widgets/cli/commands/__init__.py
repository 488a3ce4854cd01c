"""The commands of ``trtcal``, one module each."""
