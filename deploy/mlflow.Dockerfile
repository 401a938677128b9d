# The tracking server, in the version that the service is tested with:
# docker build -f deploy/mlflow.Dockerfile -t binah-mlflow .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
FROM ${PYTHON_IMAGE}
COPY deploy/requirements-dev.txt deploy/constraints-dev.txt /tmp/
RUN pip install --disable-pip-version-check --no-cache-dir --only-binary=:all: \
        "$(grep -o '^mlflow==[0-9.]*' /tmp/requirements-dev.txt)" -c /tmp/constraints-dev.txt \
    && useradd --uid 10002 --no-create-home --home-dir /var/lib/mlflow --shell /usr/sbin/nologin mlflow \
    && install -d -o mlflow -g mlflow -m 0750 /var/lib/mlflow
# No telemetry; no runners for jobs that the service never submits (0.3 GB).
ENV MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=true \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
USER mlflow
WORKDIR /var/lib/mlflow
VOLUME /var/lib/mlflow
EXPOSE 5000
HEALTHCHECK --interval=15s --timeout=5s --start-period=90s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
# Without --allowed-hosts MLflow 3 answers 403 to every host name but localhost; the list is matched
# with the port.
CMD ["mlflow", "server", "--host", "0.0.0.0", "--port", "5000", "--workers", "2", \
     "--backend-store-uri", "sqlite:////var/lib/mlflow/mlflow.db", \
     "--artifacts-destination", "/var/lib/mlflow/artifacts", \
     "--allowed-hosts", "mlflow:5000,localhost:5000,127.0.0.1:5000"]
