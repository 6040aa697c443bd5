FROM python:3.13-slim AS build

RUN python -m venv --without-pip /opt/digits
COPY requirements/runtime.txt /tmp/
RUN pip --python /opt/digits/bin/python install --no-cache-dir --require-hashes -r /tmp/runtime.txt

# Compiled here, since the container's file system is read-only.
COPY service /app/service
COPY models/digits.safetensors /app/models/
COPY models/report /app/models/report
COPY docs/errors.md /app/docs/
COPY LICENSE NOTICE /app/
RUN /opt/digits/bin/python -m compileall -q /app/service


FROM python:3.13-slim

ARG VERSION=0.2.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="digits-service" \
      org.opencontainers.image.description="POST a picture of a handwritten digit, get the digit and calibrated softmax probabilities" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim"

COPY --from=build /opt/digits /opt/digits
COPY --from=build /app /app

# One BLAS thread a process: more of them only fight for the processors. No DIGITS_PORT: it would override the variable
# PORT, by which platforms such as Cloud Run and Heroku tell a container its port.
ENV PATH=/opt/digits/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    DIGITS_HOST=0.0.0.0

WORKDIR /app
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --start-interval=1s --retries=3 \
    CMD ["python", "-m", "service.server.healthcheck"]
CMD ["python", "-m", "service", "serve"]
