# The scoring service and the recorder: the slim lock, no Airflow, no MLflow, no pandas. docs/docker.md shows its use:
#   docker build -t sentinel-ml .
#   docker run -p 8000:8000 -e DB_HOST=… -e DB_PASSWORD=… -e REDIS_HOST=… -e REDIS_PASSWORD=… sentinel-ml
FROM python:3.11-slim-bookworm

# It listens on every address of its container, so that every request needs an API key.
ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    OMP_NUM_THREADS=1 SENTINEL_HOME=/var/lib/sentinel SENTINEL_HOST=0.0.0.0 SENTINEL_SERVING_PORT=8000 \
    PYTHONPATH=/opt/sentinel
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 sentinel \
    && install --directory --owner sentinel --group sentinel /var/lib/sentinel
WORKDIR /opt/sentinel
COPY serving/requirements.txt serving/requirements.txt
RUN pip install --require-hashes -r serving/requirements.txt
COPY sentinel_core sentinel_core
COPY serving serving
USER sentinel
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['SENTINEL_SERVING_PORT'] + '/health', timeout=3)"]
ENTRYPOINT ["python", "-m", "sentinel_core.cli"]
CMD ["serve"]
