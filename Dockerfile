# An image with the command fivephase, from the versions of constraints.txt:
#
#   docker build -t fivephase .
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" fivephase run scale=smoke
#
# Runs are written into the folder that is mounted. With `--build-arg INDEX=https://download.pytorch.org/whl/cpu` torch comes
# without CUDA's libraries, which are most of the image; with them, `docker run --gpus all` finds GPUs. `--build-arg BASE=` takes
# another image of Debian or Ubuntu that has a Python from 3.11 to 3.13 with its venv module and headers.
ARG BASE=python:3.11-slim-bookworm
FROM $BASE

# DeepSpeed compiles its operators at their first use.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ \
 && rm -rf /var/lib/apt/lists/*

ARG INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 DS_BUILD_OPS=0
# An environment of its own: pip may not touch the Python of a distribution.
ENV PATH=/opt/fivephase/bin:$PATH
RUN python3 -m venv /opt/fivephase

WORKDIR /src
COPY constraints.txt .
# First and alone, as tools/install.py does: what else is installed must find it.
RUN PIP_EXTRA_INDEX_URL=$INDEX pip install -c constraints.txt torch setuptools wheel pybind11
COPY . .
RUN pip install -c constraints.txt --no-build-isolation . \
 && fivephase plan scale=smoke

# Whoever runs it may have no home of their own; caches of compiled operators and of settings go here.
ENV HOME=/tmp HF_HUB_OFFLINE=1
WORKDIR /work
ENTRYPOINT ["fivephase"]
CMD ["--help"]
