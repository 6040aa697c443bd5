"""A picture's bytes in, a digit in MNIST form out. Importing this package configures OpenCV once, and does no more."""

import cv2

# The service answers many requests at once, one thread each: OpenCV's own threads would fight for the same processors.
cv2.setNumThreads(1)
# A graphics card would only be waited for: no picture here has more than a few hundred pixels a side.
cv2.ocl.setUseOpenCL(False)
# What OpenCV and its decoders remark on a file goes to stderr. It is harmless, or an error follows that we report.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
