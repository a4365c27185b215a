# fo1 serve on a CPU. docs/deploy.md says how to build and run it.
FROM python:3.11-slim

# Where the CPU build of torch comes from; the default index has one for x86-64 that brings CUDA, several GB.
ARG TORCH_INDEX
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 FO1_HOME=/var/lib/fo1

WORKDIR /src
COPY constraints.txt ./
# The version is pinned; the option before it confuses the rule.
# hadolint ignore=DL3013
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --no-deps torch==2.13.0

COPY pyproject.toml README.md LICENSE NOTICE ./
COPY src ./src
RUN pip install -c constraints.txt '.[serve]'

RUN useradd --system --create-home --uid 10001 fo1 && install -d -o fo1 -g fo1 "$FO1_HOME"
USER 10001
WORKDIR /home/fo1
# The base language model of fo1-smol, 90 MB, so that the container starts without a network.
RUN fo1 fetch-base

ENV FO1_MODEL=fo1-smol
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# All addresses, but only the container's; and nothing without a key.
CMD ["sh", "-c", ": \"${FO1_API_KEY:?give the container a key: docker run -e FO1_API_KEY=…}\"; exec fo1 serve --host 0.0.0.0 --port 8000 --model \"$FO1_MODEL\""]
