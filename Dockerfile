# The service in one image; deploy/entrypoint.sh says what it can be asked to do. It writes nowhere but to /tmp and,
# with SQLite, to /data: run it with --read-only --tmpfs /tmp --volume bandit:/data.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# Before the code: a change of code installs nothing again.
COPY requirements-extras.txt ./
RUN pip install --require-hashes --no-deps -r requirements-extras.txt && pip check && pip uninstall --yes pip
COPY manage.py gunicorn.conf.py LICENSE README.md ./
COPY allocation allocation
COPY bandit_project bandit_project
COPY dashboard dashboard
COPY experiments experiments
COPY notifications notifications
COPY serving serving
COPY benchmarks/data benchmarks/data
COPY docs docs
COPY locale locale
COPY deploy deploy
COPY static static
COPY templates templates
# Neither needs a secret nor a database. Compiled here, as nothing can be written later. Readable by the service also
# where the files were checked out for one user alone (umask 077).
RUN python manage.py collectstatic --noinput --verbosity 0 && python -m compileall -q /app && chmod -R go=rX /app

FROM python:${PYTHON_VERSION}-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Bandit experimentation service" \
      org.opencontainers.image.description="Self-hosted multi-armed-bandit experimentation" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    DATABASE_URL=sqlite:////data/bandit.sqlite3 \
    PROMETHEUS_MULTIPROC_DIR=/tmp/bandit-metrics \
    SCHEDULER_HEARTBEAT=/tmp/bandit-scheduler \
    PORT=8000
# Owned by root: the service cannot change its own code.
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
# A numeric user, so that Kubernetes can verify that it is not root. /data is no VOLUME: each container that uses
# PostgreSQL would leave an empty one behind.
RUN mkdir /data && chown 10001:10001 /data
USER 10001:10001
WORKDIR /app
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=6s --start-period=60s --retries=3 CMD ["python", "deploy/healthcheck.py"]
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
CMD ["web"]
