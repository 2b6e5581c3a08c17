# The scoring service and the recorder: the slim lock, no Airflow, no MLflow, no pandas. Build from the repository's root:
#   docker build -f deploy/serving.Dockerfile -t sentinelml/serving .
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 \
    OMP_NUM_THREADS=1 SENTINEL_HOME=/var/lib/sentinel PYTHONPATH=/opt/sentinel
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 sentinel \
    && install --directory --owner sentinel --group sentinel /var/lib/sentinel
WORKDIR /opt/sentinel
COPY serving/requirements.txt serving/requirements.txt
RUN pip install --require-hashes -r serving/requirements.txt
COPY sentinel_core sentinel_core
COPY serving serving
USER sentinel
ENTRYPOINT ["python", "-m", "sentinel_core.cli"]
CMD ["run", "serving"]
