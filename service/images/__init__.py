"""Encoded pictures in, digits in MNIST form out. Importing this package configures OpenCV, once."""

import cv2

# The service decodes pictures in several threads: OpenCV's own threads would compete with them for the processors.
cv2.setNumThreads(1)
# Pictures here have a few hundred pixels a side, too few to be worth the transfer to a GPU.
cv2.ocl.setUseOpenCL(False)
# OpenCV logs damaged files to stderr. Either they can be read all the same, or an error is raised.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
